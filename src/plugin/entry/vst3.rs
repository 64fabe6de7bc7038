//! VST3's way in (pluginterfaces/base/ipluginbase.h, and the module's entry points of each platform).

use std::ffi::c_void;
use std::sync::OnceLock;

use nice_plug::wrapper::setup_logger;
use nice_plug::wrapper::vst3::vst3::Steinberg::Vst::{
    IAudioProcessor, IAudioProcessorVtbl, ProcessData, ProcessModes_,
};
use nice_plug::wrapper::vst3::vst3::Steinberg::{
    FIDString, FUnknown, IPluginFactory, IPluginFactory2, IPluginFactory2Trait, IPluginFactory3, IPluginFactory3Trait,
    IPluginFactoryTrait, PClassInfo, PClassInfo2, PClassInfoW, PFactoryInfo, TUID, int32, kInvalidArgument, kResultOk,
    tresult,
};
use nice_plug::wrapper::vst3::vst3::{Class, ComWrapper};
use nice_plug::wrapper::vst3::{PluginInfo, Wrapper};

use super::OFFLINE;
use super::cancel::HoldCancellation;
use crate::plugin::Mynah;

/// What a host looks for.
#[unsafe(no_mangle)]
pub extern "system" fn GetPluginFactory() -> *mut c_void {
    let factory = ComWrapper::new(Factory(PluginInfo::for_plugin::<Mynah>()));
    factory.to_com_ptr::<IPluginFactory>().map_or(std::ptr::null_mut(), |factory| factory.into_raw().cast())
}

/// Linux: the module was loaded.
#[unsafe(no_mangle)]
#[cfg(all(unix, not(target_os = "macos")))]
pub extern "C" fn ModuleEntry(_library: *mut c_void) -> bool {
    setup_logger::<Mynah>();
    true
}

/// Linux: the module will be unloaded.
#[unsafe(no_mangle)]
#[cfg(all(unix, not(target_os = "macos")))]
pub extern "C" fn ModuleExit() -> bool {
    true
}

/// macOS: the module was loaded.
#[unsafe(no_mangle)]
#[cfg(target_os = "macos")]
pub extern "C" fn bundleEntry(_bundle: *mut c_void) -> bool {
    setup_logger::<Mynah>();
    true
}

/// macOS: the module will be unloaded.
#[unsafe(no_mangle)]
#[cfg(target_os = "macos")]
pub extern "C" fn bundleExit() -> bool {
    true
}

/// Windows: the module was loaded.
#[unsafe(no_mangle)]
#[cfg(windows)]
pub extern "system" fn InitDll() -> bool {
    setup_logger::<Mynah>();
    true
}

/// Windows: the module will be unloaded.
#[unsafe(no_mangle)]
#[cfg(windows)]
pub extern "system" fn ExitDll() -> bool {
    true
}

/// Makes instances.
struct Factory(PluginInfo);

impl Class for Factory {
    type Interfaces = (IPluginFactory, IPluginFactory2, IPluginFactory3);
}

/// Writes `value` to where a host wants it; refuses where it wants it nowhere, or asks for a class that there isn't.
///
/// # Safety
/// `to` is null or points to a place for a `T`.
unsafe fn give<T>(index: int32, to: *mut T, value: impl FnOnce() -> T) -> tresult {
    if index != 0 || to.is_null() {
        return kInvalidArgument;
    }
    // SAFETY: as promised above.
    unsafe { to.write(value()) };
    kResultOk
}

impl IPluginFactoryTrait for Factory {
    unsafe fn getFactoryInfo(&self, info: *mut PFactoryInfo) -> tresult {
        // SAFETY: the host points to a place for it, or nowhere.
        unsafe { give(0, info, || self.0.create_factory_info()) }
    }

    unsafe fn countClasses(&self) -> int32 {
        1
    }

    unsafe fn getClassInfo(&self, index: int32, info: *mut PClassInfo) -> tresult {
        // SAFETY: the host points to a place for it, or nowhere.
        unsafe { give(index, info, || self.0.create_class_info()) }
    }

    unsafe fn createInstance(&self, cid: FIDString, iid: FIDString, object: *mut *mut c_void) -> tresult {
        // SAFETY: the host gives two identities of 16 bytes each, or nothing.
        if cid.is_null() || iid.is_null() || object.is_null() || unsafe { *cid.cast::<[u8; 16]>() } != *self.0.cid {
            return kInvalidArgument;
        }
        let wrapper = ComWrapper::new(Wrapper::<Mynah>::new());
        let (Some(processor), Some(unknown)) =
            (wrapper.as_com_ref::<IAudioProcessor>(), wrapper.as_com_ref::<FUnknown>())
        else {
            return kInvalidArgument;
        };
        // SAFETY: nobody else knows the object yet. It gets a table of the same functions but for `process`, which
        // lives as long as the module. The object then goes to the host by its own `queryInterface`, which counts a
        // reference.
        unsafe {
            (*processor.as_ptr()).vtbl = &watched(&*(*processor.as_ptr()).vtbl).ours;
            ((*(*unknown.as_ptr()).vtbl).queryInterface)(unknown.as_ptr(), iid as *const TUID, object)
        }
    }
}

impl IPluginFactory2Trait for Factory {
    unsafe fn getClassInfo2(&self, index: int32, info: *mut PClassInfo2) -> tresult {
        // SAFETY: the host points to a place for it, or nowhere.
        unsafe { give(index, info, || self.0.create_class_info_2()) }
    }
}

impl IPluginFactory3Trait for Factory {
    unsafe fn getClassInfoUnicode(&self, index: int32, info: *mut PClassInfoW) -> tresult {
        // SAFETY: the host points to a place for it, or nowhere.
        unsafe { give(index, info, || self.0.create_class_info_unicode()) }
    }

    unsafe fn setHostContext(&self, _context: *mut FUnknown) -> tresult {
        kResultOk
    }
}

/// The functions of an audio processor: the shell's, and the same with our `process`.
struct Tables {
    shell: IAudioProcessorVtbl,
    ours: IAudioProcessorVtbl,
}

static TABLES: OnceLock<Tables> = OnceLock::new();

/// The tables; `shell` is the same for all instances.
fn watched(shell: &IAudioProcessorVtbl) -> &'static Tables {
    TABLES.get_or_init(|| Tables { shell: *shell, ours: IAudioProcessorVtbl { process, ..*shell } })
}

/// The shell's own, while no cancellation of the thread can act, and with what the host says of the block: the shell
/// passes on the mode of the set-up before the last one, so that a bounce would be taken for playing and the playing
/// after it for a bounce.
unsafe extern "system" fn process(this: *mut IAudioProcessor, data: *mut ProcessData) -> tresult {
    let (Some(tables), false) = (TABLES.get(), data.is_null()) else { return kInvalidArgument };
    let _hold = HoldCancellation::new();
    // SAFETY: the host gives the data of a block; what it gave goes on to the function that it was meant for.
    unsafe {
        OFFLINE.set(Some((*data).processMode == ProcessModes_::kOffline as int32));
        (tables.shell.process)(this, data)
    }
}
