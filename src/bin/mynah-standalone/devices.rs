//! Sound devices by name: what there is, which one is meant, and which one is a cable that other programs take for a
//! microphone. Knows no engine and opens nothing.

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{Device, Host};
use mynah::names::{Meant, did_you_mean, meant};
use serde::Serialize;

use crate::trouble::Trouble;

/// How the devices are called that Mynah makes itself: nothing to be heard by Mynah.
pub const OWN_PREFIX: &str = "mynah";
pub const OWN_NAME: &str = "Mynah microphone";
/// Virtual cables of others: what Mynah plays into, and what other programs then choose as their microphone.
/// Linux makes its own; there they are tested only.
#[cfg(any(test, not(target_os = "linux")))]
const CABLES: [(&str, &str); 4] = [
    ("CABLE Input", "CABLE Output"),
    ("VoiceMeeter Input", "VoiceMeeter Output"),
    ("BlackHole 2ch", "BlackHole 2ch"),
    ("BlackHole", "BlackHole"),
];

/// Into Mynah or out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// A microphone.
    Input,
    /// Headphones or speakers.
    Output,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::Input => "sound input",
            Way::Output => "sound output",
        }
    }

    fn option(self) -> &'static str {
        match self {
            Way::Input => "--input",
            Way::Output => "--output",
        }
    }
}

/// A device as it is listed.
#[derive(Clone)]
pub struct Found {
    /// What a person calls it.
    pub name: String,
    /// What the system calls it.
    pub id: String,
    /// Whether the system takes it where nobody chooses.
    pub standard: bool,
    /// The device itself.
    pub device: Device,
}

/// The same as `--list --json` shows it.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    name: &'a str,
    id: &'a str,
    standard: bool,
}

impl Found {
    /// For `--json`.
    pub fn shown(&self) -> Shown<'_> {
        Shown { name: &self.name, id: &self.id, standard: self.standard }
    }
}

/// What was chosen, and a sentence where it is not what was asked for.
pub struct Choice {
    /// The device.
    pub found: Found,
    /// Why it is another one.
    pub note: Option<String>,
}

fn describe(device: Device, standard: bool) -> Found {
    let name = device.description().map_or_else(|_| "a device without a name".to_owned(), |d| d.name().to_owned());
    let id = device.id().map_or_else(|_| name.clone(), |id| id.id().to_owned());
    Found { name, id, standard, device }
}

/// Whether a device can't be what a person speaks into or listens to: Mynah's own, or what a sound server hears of its
/// own outputs.
fn is_loop(way: Way, name: &str, id: &str) -> bool {
    name.starts_with(OWN_NAME) || id.starts_with(OWN_PREFIX) || (way == Way::Input && id.ends_with(".monitor"))
}

/// All devices that can be chosen, the standard one first. Those that would hear Mynah itself are left out.
pub fn all(host: &Host, way: Way) -> Result<Vec<Found>, Trouble> {
    let failed = |e: cpal::Error| {
        Trouble(format!("the {}s can't be listed: {e}; start the sound server, or run `mynah doctor`", way.word()))
    };
    let (listed, standard): (Vec<Device>, _) = match way {
        Way::Input => (host.input_devices().map_err(failed)?.collect(), host.default_input_device()),
        Way::Output => (host.output_devices().map_err(failed)?.collect(), host.default_output_device()),
    };
    let standard = standard.map(|d| describe(d, true));
    let mut found: Vec<Found> = Vec::new();
    for one in standard.into_iter().chain(listed.into_iter().map(|d| describe(d, false))) {
        if !is_loop(way, &one.name, &one.id) && !found.iter().any(|f| f.id == one.id) {
            found.push(one);
        }
    }
    Ok(found)
}

/// The device that is meant: by its name, a part of it or the system's own name for it. One that was remembered and is
/// gone is replaced by the standard one, with a note; one that was asked for is an error.
pub fn choose(found: &[Found], way: Way, asked: Option<&str>, remembered: Option<&str>) -> Result<Choice, Trouble> {
    let names: Vec<&str> = found.iter().map(|f| f.name.as_str()).collect();
    let at = |wanted: &str| found.iter().position(|f| f.id == wanted).map_or_else(|| meant(&names, wanted), Meant::One);
    let chosen = |place: usize, note| Ok(Choice { found: found[place].clone(), note });
    let (what, option) = (way.word(), way.option());
    if let Some(wanted) = asked {
        return match at(wanted) {
            Meant::One(place) => chosen(place, None),
            Meant::Several(n) => {
                Err(Trouble(format!("{n} {what}s have `{wanted}` in their names; give more of one name with {option}")))
            }
            Meant::None => {
                let guess = did_you_mean(&names, wanted);
                Err(Trouble(format!("there is no {what} `{wanted}`{guess} (`mynah-standalone --list` lists them)")))
            }
        };
    }
    let Some(first) = found.first() else {
        return Err(Trouble(match way {
            Way::Input => {
                "this machine has no microphone that Mynah could hear; plug one in, or start the sound server"
                    .to_owned()
            }
            Way::Output => "this machine has no sound output; plug in headphones, or start the sound server".to_owned(),
        }));
    };
    match remembered {
        Some(old) => match at(old) {
            Meant::One(place) => chosen(place, None),
            _ => {
                let note = format!(
                    "the {what} `{old}` of last time is gone, so it is `{}` now; choose another with {option} NAME",
                    first.name
                );
                chosen(0, Some(note))
            }
        },
        None if first.standard => chosen(0, None),
        None => chosen(
            0,
            Some(format!(
                "the system's standard {what} is no device to use, so it is `{}`; choose with {option} NAME",
                first.name
            )),
        ),
    }
}

/// Which of these outputs is a virtual cable, and what other programs call its other end. VB-CABLE on Windows,
/// BlackHole on macOS.
#[cfg(any(test, not(target_os = "linux")))]
pub fn cable<S: AsRef<str>>(outputs: &[S]) -> Option<(usize, String)> {
    CABLES.iter().find_map(|(ours, theirs)| {
        let place = outputs.iter().position(|name| name.as_ref().to_lowercase().contains(&ours.to_lowercase()))?;
        // VB-CABLE A and B tell themselves apart in the same way at both ends.
        let theirs = outputs[place].as_ref().replace(ours, theirs);
        Some((place, theirs))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cables_of_others_are_known_by_name() {
        let windows = ["Speakers (Realtek(R) Audio)", "CABLE Input (VB-Audio Virtual Cable)", "Headphones (USB)"];
        assert_eq!(cable(&windows), Some((1, "CABLE Output (VB-Audio Virtual Cable)".to_owned())));
        let mac = ["MacBook Pro Speakers", "BlackHole 2ch"];
        assert_eq!(cable(&mac), Some((1, "BlackHole 2ch".to_owned())));
        assert_eq!(cable(&["MacBook Pro Speakers", "BlackHole 16ch"]), Some((1, "BlackHole 16ch".to_owned())));
        assert_eq!(
            cable(&["VoiceMeeter Input (VB-Audio VoiceMeeter VAIO)"]).map(|c| c.1),
            Some("VoiceMeeter Output (VB-Audio VoiceMeeter VAIO)".to_owned())
        );
        assert_eq!(cable(&["Speakers", "Cable TV receiver"]), None);
    }

    #[test]
    fn nothing_that_hears_mynah_itself_is_a_microphone() {
        assert!(is_loop(Way::Input, "Mynah microphone", "mynah_microphone"));
        assert!(is_loop(Way::Input, "Monitor of Built-in Audio", "alsa_output.pci.monitor"));
        assert!(is_loop(Way::Output, "Mynah (into the microphone)", "mynah-2"));
        assert!(!is_loop(Way::Input, "Scarlett 2i2 USB", "alsa_input.usb-Focusrite"));
        assert!(!is_loop(Way::Output, "Headphones", "alsa_output.pci"));
    }
}
