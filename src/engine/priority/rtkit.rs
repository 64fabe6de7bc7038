//! RTKit: a service on the system's bus (org.freedesktop.RealtimeKit1) that raises threads of those who may not. It
//! wants the time bounded that such a thread takes without sleeping (RLIMIT_RTTIME), and then the kernel ends a process
//! that takes more. In a host that is for the host to say: nothing is asked where it has not.

use std::time::Duration;

use rustbus::connection::Timeout;
use rustbus::connection::ll_conn::force_finish_on_error;
use rustbus::message_builder::MarshalledMessage;
use rustbus::{MessageBuilder, MessageType, RpcConn};

const NAME: &str = "org.freedesktop.RealtimeKit1";
const PATH: &str = "/org/freedesktop/RealtimeKit1";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_millis(500);
/// The longest time without sleep that RTKit bears, in microseconds, and the highest priority that it gives, unless its
/// administrator says otherwise.
pub const MOST: u64 = 200_000;
const HIGHEST: u8 = 20;

/// Why a thread was not raised.
#[derive(Debug, thiserror::Error)]
pub enum KitError {
    /// Nobody bounded the time.
    #[error("this process has not bounded what a raised thread may take without sleeping")]
    Unbounded,
    /// The bus or the service.
    #[error("RTKit can't be asked: {0}")]
    Bus(String),
    /// The service refused.
    #[error("RTKit refused: {0}")]
    Refused(String),
}

/// The calling thread, as the kernel numbers it.
pub fn this_thread() -> u64 {
    // SAFETY: it takes nothing and always succeeds.
    unsafe { libc::gettid() }.unsigned_abs().into()
}

/// Has a thread of this process raised. Takes milliseconds, at the worst some times [`PATIENCE`].
pub fn ask(thread: u64, priority: u8) -> Result<(), KitError> {
    if bound().is_none_or(|most| most > MOST) {
        return Err(KitError::Unbounded);
    }
    let mut bus = RpcConn::system_conn(Timeout::Duration(PATIENCE)).map_err(failed)?;
    ask_on(&mut bus, thread, priority)
}

fn failed(e: rustbus::connection::Error) -> KitError {
    KitError::Bus(format!("{e:?}"))
}

fn ask_on(bus: &mut RpcConn, thread: u64, priority: u8) -> Result<(), KitError> {
    let mut call = MessageBuilder::new().call("MakeThreadRealtime").on(PATH).with_interface(NAME).at(NAME).build();
    let told = call.body.push_param2(thread, u32::from(priority.clamp(1, HIGHEST)));
    told.map_err(|e| KitError::Bus(format!("{e:?}")))?;
    let answer = answer(bus, &mut call).map_err(failed)?;
    match answer.typ {
        MessageType::Reply => Ok(()),
        _ => Err(KitError::Refused(answer.dynheader.error_name.unwrap_or_default())),
    }
}

fn answer(
    connection: &mut RpcConn,
    call: &mut MarshalledMessage,
) -> Result<MarshalledMessage, rustbus::connection::Error> {
    let serial = connection.send_message(call)?.write(Timeout::Duration(PATIENCE)).map_err(force_finish_on_error)?;
    connection.wait_response(serial, Timeout::Duration(PATIENCE))
}

/// The bound, in microseconds; none where there is none.
fn bound() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the place is one of ours.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_RTTIME, &raw mut limit) == 0 };
    (known && limit.rlim_max != libc::RLIM_INFINITY).then_some(limit.rlim_max)
}

/// Bounds it as RTKit wants it, for a program of ours; tells whether it is.
pub fn bound_this_process() -> bool {
    let limit = libc::rlimit { rlim_cur: MOST, rlim_max: MOST };
    // SAFETY: the limit lives as long as the call.
    bound().is_some_and(|most| most <= MOST) || unsafe { libc::setrlimit(libc::RLIMIT_RTTIME, &raw const limit) == 0 }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use nix::sys::socket::UnixAddr;

    use super::super::{lower, of_this_thread};
    use super::*;

    /// What the service does, on a bus of our own: raises the thread where this machine lets us, goes without an answer
    /// where a priority is above so much.
    fn service(mut bus: RpcConn, most: u32) {
        for _ in 0..2 {
            let call = bus.wait_call(Timeout::Duration(Duration::from_secs(20))).expect("a call");
            assert_eq!(call.dynheader.member.as_deref(), Some("MakeThreadRealtime"));
            let (thread, priority) = call.body.parser().get2::<u64, u32>().expect("a thread and a priority");
            if priority > most {
                return; // the bus itself then answers with an error
            }
            let param = libc::sched_param { sched_priority: priority as libc::c_int };
            // SAFETY: the parameters live as long as the call.
            unsafe {
                libc::sched_setscheduler(
                    thread as libc::pid_t,
                    libc::SCHED_RR | libc::SCHED_RESET_ON_FORK,
                    &raw const param,
                )
            };
            let mut reply = call.dynheader.make_response();
            bus.send_message(&mut reply)
                .expect("a reply")
                .write_all()
                .map_err(force_finish_on_error)
                .expect("it is sent");
        }
    }

    #[test]
    fn a_thread_is_raised_by_the_service_or_told_why_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bus");
        let mut daemon = Command::new("dbus-daemon");
        daemon
            .args(["--session", "--nofork", "--print-address=1"])
            .arg(format!("--address=unix:path={}", path.display()));
        let Ok(mut daemon) = daemon.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            return println!("not run: no dbus-daemon");
        };
        BufReader::new(daemon.stdout.take().expect("a pipe")).read_line(&mut String::new()).expect("an address");
        let connect = || {
            RpcConn::connect_to_path(UnixAddr::new(&path).expect("a path"), Timeout::Duration(PATIENCE)).expect("a bus")
        };
        let mut bus = connect();
        let nobody = ask_on(&mut bus, this_thread(), 5);
        assert!(matches!(&nobody, Err(KitError::Refused(name)) if name.contains("ServiceUnknown")), "{nobody:?}");
        let mut kit = connect();
        let mut name = rustbus::standard_messages::request_name(NAME, 0);
        answer(&mut kit, &mut name).expect("the name");
        let serving = std::thread::spawn(move || service(kit, 10));
        let allowed = super::super::raise(3);
        lower();
        ask_on(&mut bus, this_thread(), 7).expect("raised");
        assert_eq!(of_this_thread(), if allowed { 7 } else { 0 }, "as far as the system allows");
        assert!(lower() && of_this_thread() == 0);
        let refused = ask_on(&mut bus, this_thread(), 11);
        assert!(matches!(&refused, Err(KitError::Refused(name)) if name.contains("NoReply")), "{refused:?}");
        serving.join().expect("it served");
        // A bus that is gone is an error within its time.
        daemon.kill().expect("it runs");
        daemon.wait().expect("it ends");
        assert!(matches!(ask_on(&mut bus, this_thread(), 5), Err(KitError::Bus(_))));
    }

    #[test]
    fn nothing_is_asked_where_the_host_has_not_bounded_the_time() {
        if bound().is_none() {
            assert!(matches!(ask(this_thread(), 5), Err(KitError::Unbounded)));
        }
    }
}
