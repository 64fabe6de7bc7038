//! Every call in any order that CLAP allows, drawn by chance, with values, blocks and transports drawn too; and a host
//! that writes down what the plugin may not do.

use std::cell::{Cell, UnsafeCell};
use std::thread::ThreadId;

use clap_sys::events::{
    CLAP_CORE_EVENT_SPACE_ID, CLAP_EVENT_TRANSPORT, CLAP_TRANSPORT_HAS_SECONDS_TIMELINE, CLAP_TRANSPORT_HAS_TEMPO,
    CLAP_TRANSPORT_IS_PLAYING, clap_event_transport, clap_input_events, clap_output_events,
};
use clap_sys::ext::latency::{CLAP_EXT_LATENCY, clap_host_latency, clap_plugin_latency};
use clap_sys::ext::params::{CLAP_EXT_PARAMS, clap_plugin_params};
use clap_sys::ext::render::{CLAP_EXT_RENDER, clap_plugin_render};
use clap_sys::ext::state::{CLAP_EXT_STATE, clap_plugin_state};
use clap_sys::ext::tail::{CLAP_EXT_TAIL, clap_plugin_tail};
use clap_sys::ext::thread_check::{CLAP_EXT_THREAD_CHECK, clap_host_thread_check};
use clap_sys::fixedpoint::{CLAP_BEATTIME_FACTOR, CLAP_SECTIME_FACTOR};
use clap_sys::stream::{clap_istream, clap_ostream};

use super::raw::{bare_host, created};
use super::*;

const LARGEST: u32 = 1024;
/// Calls a schedule makes, and schedules.
const CALLS: usize = 250;
const SCHEDULES: u64 = 24;

/// What the host saw.
#[derive(Default)]
struct Seen {
    main: Option<ThreadId>,
    activating: Cell<bool>,
    restart: Cell<bool>,
    callback: Cell<bool>,
    breaches: UnsafeCell<Vec<&'static str>>,
    told: Cell<u32>,
}

/// The host's record.
///
/// # Safety
/// The host is one of [`host`], whose data outlives it. Calls come from one thread at a time.
unsafe fn seen<'a>(host: *const RawHost) -> &'a Seen {
    // SAFETY: as above.
    unsafe { &*(*host).host_data.cast::<Seen>() }
}

impl Seen {
    fn is_main(&self) -> bool {
        self.main == Some(std::thread::current().id())
    }

    fn breach(&self, what: &'static str) {
        // SAFETY: one thread at a time, and no reference outlives its statement.
        unsafe { (*self.breaches.get()).push(what) };
    }
}

unsafe extern "C" fn changed(host: *const RawHost) {
    // SAFETY: the plugin gives back the host that it got.
    let seen = unsafe { seen(host) };
    seen.told.set(seen.told.get() + 1);
    if !seen.activating.get() {
        seen.breach("latency.changed outside activate");
    }
    if !seen.is_main() {
        seen.breach("latency.changed on another thread than the main one");
    }
}

unsafe extern "C" fn is_main(host: *const RawHost) -> bool {
    // SAFETY: the plugin gives back the host that it got.
    unsafe { seen(host) }.is_main()
}

unsafe extern "C" fn is_audio(host: *const RawHost) -> bool {
    // SAFETY: the plugin gives back the host that it got.
    !unsafe { seen(host) }.is_main()
}

unsafe extern "C" fn extension(_: *const RawHost, id: *const c_char) -> *const c_void {
    static LATENCY: clap_host_latency = clap_host_latency { changed: Some(changed) };
    static THREADS: clap_host_thread_check =
        clap_host_thread_check { is_main_thread: Some(is_main), is_audio_thread: Some(is_audio) };
    // SAFETY: the plugin gives a C string.
    match unsafe { CStr::from_ptr(id) } {
        id if id == CLAP_EXT_LATENCY => (&raw const LATENCY).cast(),
        id if id == CLAP_EXT_THREAD_CHECK => (&raw const THREADS).cast(),
        _ => null(),
    }
}

unsafe extern "C" fn request_restart(host: *const RawHost) {
    // SAFETY: the plugin gives back the host that it got.
    unsafe { seen(host) }.restart.set(true);
}

unsafe extern "C" fn request_callback(host: *const RawHost) {
    // SAFETY: the plugin gives back the host that it got.
    unsafe { seen(host) }.callback.set(true);
}

unsafe extern "C" fn event_count(list: *const clap_input_events) -> u32 {
    // SAFETY: the list is one of `call_with`.
    unsafe { (*(*list).ctx.cast::<Vec<clap_event_param_value>>()).len() as u32 }
}

unsafe extern "C" fn event_at(list: *const clap_input_events, index: u32) -> *const clap_event_header {
    // SAFETY: the list is one of `call_with`, and the plugin asks for one of its events.
    unsafe { &raw const (&(*(*list).ctx.cast::<Vec<clap_event_param_value>>()))[index as usize].header }
}

unsafe extern "C" fn taken(_: *const clap_output_events, _: *const clap_event_header) -> bool {
    true
}

unsafe extern "C" fn write(stream: *const clap_ostream, data: *const c_void, size: u64) -> i64 {
    // SAFETY: the stream is one of `Player::save`; the plugin gives as many bytes as it says.
    unsafe {
        (*(*stream).ctx.cast::<Vec<u8>>()).extend_from_slice(std::slice::from_raw_parts(data.cast(), size as usize))
    };
    size as i64
}

unsafe extern "C" fn read(stream: *const clap_istream, data: *mut c_void, size: u64) -> i64 {
    // SAFETY: the stream is one of `Player::load`; the plugin has room for as many bytes as it says.
    unsafe {
        let left = &mut *(*stream).ctx.cast::<&[u8]>();
        let n = left.len().min(size as usize).min(777);
        std::ptr::copy_nonoverlapping(left.as_ptr(), data.cast(), n);
        *left = &left[n..];
        n as i64
    }
}

/// A pointer that goes to the audio thread and back.
#[derive(Clone, Copy)]
struct Plugin(*const clap_plugin);

// SAFETY: the host lets one thread at a time call the plugin.
unsafe impl Send for Plugin {}
// SAFETY: as above.
unsafe impl Sync for Plugin {}

/// One plugin in one host.
struct Player<'a> {
    plugin: Plugin,
    seen: &'a Seen,
    random: StdRng,
    active: bool,
    processing: bool,
    seconds: f64,
    ids: Vec<(u32, f64, f64)>,
}

impl Player<'_> {
    fn extension<T>(&self, id: &CStr) -> &T {
        // SAFETY: the plugin lives, and gives what the name stands for.
        unsafe { &*(*self.plugin.0).get_extension.expect("extensions")(self.plugin.0, id.as_ptr()).cast::<T>() }
    }

    /// Something on a thread that is not the main one, as a host's audio thread.
    fn on_audio_thread<T: Send>(&self, work: impl FnOnce(Plugin) -> T + Send) -> T {
        let plugin = self.plugin;
        std::thread::scope(|scope| scope.spawn(move || work(plugin)).join().expect("the audio thread"))
    }

    fn activate(&mut self) {
        let rate = [8_000.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0][self.random.random_range(0..5)];
        self.seen.activating.set(true);
        // SAFETY: the plugin is inactive and this is the main thread.
        self.active = unsafe { (*self.plugin.0).activate.expect("it")(self.plugin.0, rate, 1, LARGEST) };
        self.seen.activating.set(false);
        self.seen.restart.set(false);
    }

    fn deactivate(&mut self) {
        self.stop();
        // SAFETY: the plugin is active and doesn't process; this is the main thread.
        unsafe { (*self.plugin.0).deactivate.expect("it")(self.plugin.0) };
        self.active = false;
    }

    fn start(&mut self) {
        // SAFETY: the plugin is active and doesn't process.
        self.processing = self.on_audio_thread(|p| unsafe { (*p.0).start_processing.expect("it")(p.0) });
    }

    fn stop(&mut self) {
        if std::mem::take(&mut self.processing) {
            // SAFETY: the plugin processes.
            self.on_audio_thread(|p| unsafe { (*p.0).stop_processing.expect("it")(p.0) });
        }
    }

    fn events(&mut self, samples: u32) -> Vec<clap_event_param_value> {
        let count = self.random.random_range(0..5);
        let mut events: Vec<_> = (0..count)
            .map(|_| {
                let (param_id, least, most) = self.ids[self.random.random_range(0..self.ids.len())];
                let header = clap_event_header {
                    size: size_of::<clap_event_param_value>() as u32,
                    time: self.random.random_range(0..samples.max(1)),
                    space_id: CLAP_CORE_EVENT_SPACE_ID,
                    type_: CLAP_EVENT_PARAM_VALUE,
                    flags: 0,
                };
                let value = self.random.random_range(least..=most);
                clap_event_param_value {
                    header,
                    param_id,
                    cookie: null_mut(),
                    note_id: -1,
                    port_index: -1,
                    channel: -1,
                    key: -1,
                    value,
                }
            })
            .collect();
        events.sort_by_key(|e| e.header.time);
        events
    }

    fn flush(&mut self) {
        let events = self.events(1);
        let call = |plugin: Plugin| {
            let list = clap_input_events {
                ctx: (&raw const events).cast_mut().cast(),
                size: Some(event_count),
                get: Some(event_at),
            };
            let out = clap_output_events { ctx: null_mut(), try_push: Some(taken) };
            // SAFETY: the plugin lives; nobody processes.
            unsafe {
                let params = (*plugin.0).get_extension.expect("extensions")(plugin.0, CLAP_EXT_PARAMS.as_ptr())
                    .cast::<clap_plugin_params>();
                (*params).flush.expect("it")(plugin.0, &list, &out);
            }
        };
        // On the audio thread while active, on the main thread else.
        if self.active { self.on_audio_thread(call) } else { call(self.plugin) }
    }

    fn process(&mut self) {
        let n = *[0, 1, 17, 64, 480, LARGEST].get(self.random.random_range(0..6)).expect("a size");
        let events = self.events(n);
        let (loud, whole) = (self.random.random_range(0.0..1.2f32), self.random.random_bool(0.1));
        let mut channels: [Vec<f32>; 2] = [(); 2]
            .map(|()| (0..n).map(|_| if whole { 0.0 } else { self.random.random_range(-loud..=loud) }).collect());
        if n > 0 && self.random.random_bool(0.05) {
            channels[0][0] = [f32::NAN, f32::INFINITY, 1e-40, 1e30][self.random.random_range(0..4)];
        }
        if self.random.random_bool(0.1) {
            self.seconds = self.random.random_range(-10.0..1e5);
        }
        let rolls = self.random.random_bool(0.8);
        let time = |x: f64, factor: i64| (x * factor as f64) as i64;
        // SAFETY: all zeros is a transport that says nothing.
        let mut transport: clap_event_transport = unsafe { std::mem::zeroed() };
        transport.header = clap_event_header {
            size: size_of::<clap_event_transport>() as u32,
            time: 0,
            space_id: CLAP_CORE_EVENT_SPACE_ID,
            type_: CLAP_EVENT_TRANSPORT,
            flags: 0,
        };
        transport.flags = CLAP_TRANSPORT_HAS_SECONDS_TIMELINE
            | CLAP_TRANSPORT_HAS_TEMPO
            | if rolls { CLAP_TRANSPORT_IS_PLAYING } else { 0 };
        (transport.song_pos_seconds, transport.song_pos_beats) =
            (time(self.seconds, CLAP_SECTIME_FACTOR), time(2.0 * self.seconds, CLAP_BEATTIME_FACTOR));
        transport.tempo = [0.0, 1.0, 120.0, 960.0][self.random.random_range(0..4)];
        self.seconds += f64::from(n) / 48_000.0;
        let told = self.random.random_bool(0.8);
        let channels = self.on_audio_thread(move |plugin| {
            let mut pointers = channels.each_mut().map(|c| c.as_mut_ptr());
            let mut buffer = clap_audio_buffer {
                data32: pointers.as_mut_ptr(),
                data64: null_mut(),
                channel_count: 2,
                latency: 0,
                constant_mask: 0,
            };
            let input = buffer;
            let list = clap_input_events {
                ctx: (&raw const events).cast_mut().cast(),
                size: Some(event_count),
                get: Some(event_at),
            };
            let out = clap_output_events { ctx: null_mut(), try_push: Some(taken) };
            let process = clap_process {
                steady_time: -1,
                frames_count: n,
                transport: if told { &transport } else { null() },
                audio_inputs: &input,
                audio_outputs: &mut buffer,
                audio_inputs_count: 1,
                audio_outputs_count: 1,
                in_events: &list,
                out_events: &out,
            };
            // SAFETY: the plugin processes, and all that `process` points to outlives the call.
            assert_ne!(unsafe { (*plugin.0).process.expect("it")(plugin.0, &process) }, CLAP_PROCESS_ERROR);
            channels
        });
        for x in channels.iter().flatten() {
            if !x.is_finite() {
                self.seen.breach("a sample that is no number");
            }
            if x.is_subnormal() {
                self.seen.breach("a subnormal sample");
            }
        }
    }

    fn save(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        let stream = clap_ostream { ctx: (&raw mut bytes).cast(), write: Some(write) };
        // SAFETY: the plugin lives, this is the main thread, and the stream outlives the call.
        assert!(unsafe {
            self.extension::<clap_plugin_state>(CLAP_EXT_STATE).save.expect("it")(self.plugin.0, &stream)
        });
        bytes
    }

    fn load(&self, bytes: &[u8]) {
        let mut left = bytes;
        let stream = clap_istream { ctx: (&raw mut left).cast(), read: Some(read) };
        // SAFETY: the plugin lives, this is the main thread, and the stream outlives the call.
        assert!(unsafe {
            self.extension::<clap_plugin_state>(CLAP_EXT_STATE).load.expect("it")(self.plugin.0, &stream)
        });
    }

    fn call(&mut self) {
        match self.random.random_range(0..40) {
            0 | 1 if self.active => self.deactivate(),
            0..=2 if !self.active => self.activate(),
            2 if self.processing => self.stop(),
            3..=6 if self.active && !self.processing => self.start(),
            // SAFETY: the plugin is active.
            7 if self.active => self.on_audio_thread(|p| unsafe { (*p.0).reset.expect("it")(p.0) }),
            8 if !self.processing => self.flush(),
            9 => drop(self.save()),
            10 => {
                let mode = Mode::ALL[self.random.random_range(0..3)];
                let captions = self.random.random_bool(0.3);
                let name = ["Ada", "Grace"][self.random.random_range(0..2)];
                self.load(&state(name, &Settings { mode, captions, ..Settings::default() }));
            }
            11 => {
                let mode = self.random.random_range(0..2);
                // SAFETY: the plugin lives and this is the main thread.
                unsafe { self.extension::<clap_plugin_render>(CLAP_EXT_RENDER).set.expect("it")(self.plugin.0, mode) };
            }
            12 if self.active => {
                // SAFETY: the plugin is active and this is the main thread.
                _ = unsafe { self.extension::<clap_plugin_latency>(CLAP_EXT_LATENCY).get.expect("it")(self.plugin.0) }
            }
            // SAFETY: the plugin lives.
            13 => _ = unsafe { self.extension::<clap_plugin_tail>(CLAP_EXT_TAIL).get.expect("it")(self.plugin.0) },
            // SAFETY: the plugin lives and this is the main thread.
            14 | 15 if self.seen.callback.take() => unsafe {
                (*self.plugin.0).on_main_thread.expect("it")(self.plugin.0)
            },
            16 | 17 if self.active && self.seen.restart.get() => {
                self.deactivate();
                self.activate();
            }
            18 => std::thread::sleep(Duration::from_millis(self.random.random_range(0..30))),
            _ if self.processing => self.process(),
            _ => {}
        }
    }
}

#[test]
fn no_order_of_calls_makes_it_break_a_rule() {
    faults();
    let entry = linked::entry();
    let factory = entry.get_plugin_factory().expect("a factory");
    let mut told = 0;
    for seed in 0..SCHEDULES {
        let seen = Seen { main: Some(std::thread::current().id()), ..Seen::default() };
        let mut host = bare_host();
        host.host_data = (&raw const seen).cast_mut().cast();
        host.get_extension = Some(extension);
        host.request_restart = Some(request_restart);
        host.request_callback = Some(request_callback);
        let plugin = created(factory.raw().as_raw().as_ptr().cast_const(), &host, ID);
        // SAFETY: it was made just now and this is the main thread.
        assert!(unsafe { (*plugin).init.expect("it")(plugin) });
        let random = StdRng::seed_from_u64(seed);
        let mut player = Player {
            plugin: Plugin(plugin),
            seen: &seen,
            random,
            active: false,
            processing: false,
            seconds: 0.0,
            ids: Vec::new(),
        };
        let params = player.extension::<clap_plugin_params>(CLAP_EXT_PARAMS);
        // SAFETY: all zeros is a valid description, which the plugin fills.
        let ids = unsafe {
            (0..params.count.expect("it")(plugin)).map(|index| {
                let mut info = std::mem::zeroed();
                assert!(params.get_info.expect("it")(plugin, index, &mut info));
                (info.id, info.min_value, info.max_value)
            })
        };
        player.ids = ids.collect();
        player.load(&state("Ada", &Settings::default()));
        for n in 0..CALLS {
            player.call();
            // SAFETY: nobody else holds it.
            let breaches = unsafe { &*seen.breaches.get() };
            assert!(breaches.is_empty(), "schedule {seed}, call {n}: {breaches:?}");
        }
        if player.active {
            player.deactivate();
        }
        // SAFETY: it is inactive, this is the main thread, and nobody uses it any more.
        unsafe { (*plugin).destroy.expect("it")(plugin) };
        told += seen.told.get();
    }
    assert!(told > 0, "the latency never changed: nothing was tried");
}
