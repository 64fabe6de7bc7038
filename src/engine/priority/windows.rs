//! Windows: the multimedia class scheduler, which raises threads that ask for it among those of sound, and bounds them
//! all together.

use std::cell::Cell;
use std::ptr::null_mut;

use thread_priority::{ThreadPriority, ThreadPriorityValue, set_current_thread_priority};
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    AVRT_PRIORITY, AVRT_PRIORITY_HIGH, AVRT_PRIORITY_LOW, AVRT_PRIORITY_NORMAL, AvRevertMmThreadCharacteristics,
    AvSetMmThreadCharacteristicsW, AvSetMmThreadPriority,
};
use windows_sys::w;

use super::{AUDIO, DEVICE};

thread_local! {
    /// What the scheduler gave for this thread; null where it has none.
    static TASK: Cell<HANDLE> = const { Cell::new(null_mut()) };
}

/// Hosts run their audio threads as `Pro Audio` at the normal priority in it or above: what is below them is low in it.
fn in_task(priority: u8) -> AVRT_PRIORITY {
    match priority {
        DEVICE.. => AVRT_PRIORITY_HIGH,
        AUDIO => AVRT_PRIORITY_NORMAL,
        _ => AVRT_PRIORITY_LOW,
    }
}

pub fn raise(priority: u8) -> bool {
    if TASK.get().is_null() {
        let mut index = 0;
        // SAFETY: the name ends with 0 and the index is a place of ours.
        TASK.set(unsafe { AvSetMmThreadCharacteristicsW(w!("Pro Audio"), &mut index) });
    }
    if TASK.get().is_null() {
        // The service may be off.
        return set_current_thread_priority(ThreadPriority::Max).is_ok();
    }
    // SAFETY: the handle is the one that the scheduler gave to this thread.
    unsafe { AvSetMmThreadPriority(TASK.get(), in_task(priority)) != 0 }
}

pub fn lower() -> bool {
    let task = TASK.replace(null_mut());
    if !task.is_null() {
        // SAFETY: the handle is the one that the scheduler gave to this thread, and is used no more.
        return unsafe { AvRevertMmThreadCharacteristics(task) != 0 };
    }
    ThreadPriorityValue::try_from(50)
        .is_ok_and(|normal| set_current_thread_priority(ThreadPriority::Crossplatform(normal)).is_ok())
}
