//! Where the running module lies: a plugin can't use the host's place, nor the working directory.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The folders of packs that belong to a module, in order; they need not exist.
///
/// `X.vst3/Contents/<architecture>/<module>` → `X.vst3/Contents/Resources/packs`; `X.clap` and a program →
/// `X.resources/packs`, `Mynah.resources/packs` and `packs` beside it. On macOS a CLAP is a bundle too, with `Contents`
/// inside.
pub(super) fn resources_of(module: &Path) -> Vec<PathBuf> {
    let Some(folder) = module.parent() else { return Vec::new() };
    let mut places = Vec::new();
    if let Some(contents) = folder.parent().filter(|c| c.file_name() == Some(OsStr::new("Contents"))) {
        places.push(contents.join("Resources").join("packs"));
    }
    if let Some(stem) = module.file_stem() {
        let mut own = stem.to_owned();
        own.push(".resources");
        places.push(folder.join(own).join("packs"));
    }
    places.push(folder.join("Mynah.resources").join("packs"));
    places.push(folder.join("packs"));
    places.dedup();
    places
}

/// The absolute path of the library or program that holds this code.
pub fn module_path() -> Option<PathBuf> {
    let path = platform::holding(module_path as *const () as usize).filter(|p| p.is_absolute());
    path.or_else(|| std::env::current_exe().ok()).filter(|p| p.is_absolute())
}

#[cfg(target_os = "linux")]
mod platform {
    use std::os::unix::ffi::OsStringExt;
    use std::path::PathBuf;

    /// The file that is mapped where `address` lies. The kernel's list is absolute even where the loader was given a
    /// relative path.
    pub(super) fn holding(address: usize) -> Option<PathBuf> {
        std::fs::read("/proc/self/maps").ok()?.split(|&b| b == b'\n').find_map(|line| path_in(line, address))
    }

    /// A line is `from-to rights offset device inode path`, where the path is absent for anonymous memory and may hold
    /// spaces.
    fn path_in(line: &[u8], address: usize) -> Option<PathBuf> {
        let slash = line.iter().position(|&b| b == b'/')?;
        let range = std::str::from_utf8(line.split(|&b| b == b' ').next()?).ok()?;
        let (from, to) = range.split_once('-')?;
        let inside = (usize::from_str_radix(from, 16).ok()?..usize::from_str_radix(to, 16).ok()?).contains(&address);
        // A plugin that was replaced while it ran keeps its place.
        let path = line[slash..].strip_suffix(b" (deleted)").unwrap_or(&line[slash..]);
        inside.then(|| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_line_with_spaces_or_of_a_replaced_file_is_read() {
            let line = b"7f00-7f10 r-xp 00000000 08:01 42     /a b/Mynah.vst3/Contents/x86_64-linux/Mynah.so (deleted)";
            assert_eq!(path_in(line, 0x7f08), Some(PathBuf::from("/a b/Mynah.vst3/Contents/x86_64-linux/Mynah.so")));
            assert_eq!(path_in(line, 0x7f10), None);
            assert_eq!(path_in(b"7f00-7f10 r-xp 00000000 00:00 0 [heap]", 0x7f08), None);
        }
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
mod platform {
    use std::ffi::{CStr, OsStr};
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    /// The file that the loader says holds `address`.
    pub(super) fn holding(address: usize) -> Option<PathBuf> {
        let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: `info` is writable and of the right type; `dladdr` takes any address, and all-zero bytes are a valid
        // `Dl_info`.
        let info = unsafe {
            if libc::dladdr(address as *const libc::c_void, info.as_mut_ptr()) == 0 {
                return None;
            }
            info.assume_init()
        };
        if info.dli_fname.is_null() {
            return None;
        }
        // SAFETY: `dladdr` succeeded, so the name is a string of the loader's that lives as long as the module, which
        // runs this code.
        let name = unsafe { CStr::from_ptr(info.dli_fname) };
        Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
    }
}

#[cfg(windows)]
mod platform {
    use std::os::windows::ffi::OsStringExt;
    use std::path::PathBuf;
    use windows_sys::Win32::System::LibraryLoader::{
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleFileNameW,
        GetModuleHandleExW,
    };

    /// The longest path that Windows has, in UTF-16 units.
    const LONGEST: usize = 32_768;

    /// The file that the loader says holds `address`.
    pub(super) fn holding(address: usize) -> Option<PathBuf> {
        let mut module = std::ptr::null_mut();
        let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
        let mut buffer = vec![0_u16; LONGEST];
        // SAFETY: the flag says that the second argument is an address and no name; `module` and `buffer` are writable
        // for the length given; the reference count is left alone, and the module stays loaded because it runs this
        // code.
        let length = unsafe {
            if GetModuleHandleExW(flags, address as *const u16, &mut module) == 0 {
                return None;
            }
            GetModuleFileNameW(module, buffer.as_mut_ptr(), LONGEST as u32) as usize
        };
        (length > 0 && length < LONGEST).then(|| PathBuf::from(std::ffi::OsString::from_wide(&buffer[..length])))
    }
}

#[cfg(not(any(unix, windows)))]
mod platform {
    /// No way to tell; the program's own path serves.
    pub(super) fn holding(_address: usize) -> Option<std::path::PathBuf> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_of_this_test_is_its_program() {
        let exe = std::env::current_exe().expect("a program").canonicalize().expect("real");
        assert_eq!(module_path().expect("a module").canonicalize().expect("real"), exe);
    }

    #[test]
    fn a_vst3_bundle_looks_in_its_resources_first() {
        let places = resources_of(Path::new("/v/Mynah.vst3/Contents/x86_64-linux/Mynah.so"));
        assert_eq!(places[0], Path::new("/v/Mynah.vst3/Contents/Resources/packs"));
    }

    #[test]
    fn a_clap_file_and_a_program_look_beside_themselves() {
        assert_eq!(resources_of(Path::new("/c/Mynah.clap"))[0], Path::new("/c/Mynah.resources/packs"));
        let places = resources_of(Path::new("/usr/bin/mynah"));
        assert!(
            places.contains(&PathBuf::from("/usr/bin/Mynah.resources/packs"))
                && places.contains(&PathBuf::from("/usr/bin/packs"))
        );
    }
}
