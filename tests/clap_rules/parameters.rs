//! Parameters: random values, texts, and events that are not ours.

use super::*;

#[test]
fn random_parameters_go_in_by_flush_and_by_events() {
    let mut random = StdRng::seed_from_u64(7);
    let (mut host, _) = offline(&Settings::default(), 48000, 512);
    let mut other = instance();
    for round in 0..60 {
        let events = random_events(&mut host, &mut random, 512);
        let mut sound = noise(round, 512);
        host.process_with(&mut sound, &InputEvents::from_buffer(&events), false).expect("a block");
        assert!(sound.iter().flatten().all(|x| x.is_finite()), "round {round}");
        host.answer();
        // The same by a flush, and by a state: three ways to the same values, and to the same bytes.
        let params: PluginParams = other.extension("params").expect("parameters");
        let mut inactive = other.plugin.inactive_plugin_handle().expect("an inactive plugin");
        params.flush(&mut inactive, &InputEvents::from_buffer(&events), &mut OutputEvents::void());
        assert_eq!(values(&mut host), values(&mut other), "round {round}");
        let expected: Vec<f64> = values(&mut host);
        for e in &events {
            let at = NAMES.iter().position(|name| Some(id(name)) == e.param_id()).expect("its name");
            let step = [("semis", 0.1 / 48.0), ("gate", 0.1 / 80.0), ("gain", 0.1 / 48.0)];
            let step = step.iter().find(|(name, _)| *name == NAMES[at]).map_or(1e-6, |(_, step)| *step);
            assert!(
                (expected[at] - e.value()).abs() <= 0.51 * step + 1e-6,
                "{}: {} for {}",
                NAMES[at],
                expected[at],
                e.value()
            );
        }
        let mut third = instance();
        third.load(&host.save().expect("saved")).expect("a state");
        assert_eq!(values(&mut third), expected, "round {round}");
        let flushed = other.save().expect("saved");
        third.load(&flushed).expect("a state");
        assert!(third.save().expect("saved") == flushed);
    }
}

#[test]
fn values_and_texts_turn_into_each_other() {
    let (mut host, mut random) = (instance(), StdRng::seed_from_u64(8));
    let params: PluginParams = host.extension("params").expect("parameters");
    let handle = host.plugin.plugin_handle();
    let mut text = [0u8; 256];
    for name in NAMES {
        for _ in 0..50 {
            let steps = match name {
                "mode" => 2.0,
                _ => 1.0,
            };
            let value: f64 = random.random_range(0.0..=steps);
            let shown = CString::new(params.value_to_text(&handle, id(name), value, &mut text).expect("text").to_vec())
                .expect("no NUL");
            let read = params
                .text_to_value(&handle, id(name), &shown)
                .unwrap_or_else(|| panic!("{name}: {shown:?} is not read"));
            assert!((0.0..=steps).contains(&read), "{name}: {shown:?} is {read}");
            let mut again = [0u8; 256];
            assert_eq!(
                params.value_to_text(&handle, id(name), read, &mut again).expect("text"),
                shown.as_bytes(),
                "{name}"
            );
        }
        for odd in [c"", c" ", c"nan", c"inf", c"-1e99", c"999999", c"\xff\xfe", c"Live!"] {
            if let Some(read) = params.text_to_value(&handle, id(name), odd) {
                assert!((0.0..=2.0).contains(&read), "{name}: {odd:?} is {read}");
            }
        }
        // A buffer of one byte holds no text but its end.
        let _ = params.value_to_text(&handle, id(name), 0.5, &mut text[..1]);
    }
    assert!(params.value_to_text(&handle, ClapId::new(12345), 0.5, &mut text).is_err());
    assert!(params.text_to_value(&handle, ClapId::new(12345), c"0").is_none());
    assert!(params.get_value(&handle, ClapId::new(12345)).is_none());
}

#[test]
fn what_is_no_value_and_no_parameter_changes_nothing() {
    let (mut host, _) = offline(&Settings { wet: 0.25, gain_db: 6.0, ..Settings::default() }, 48000, 256);
    let before = (values(&mut host), host.save().expect("saved"));
    let send = |host: &mut ClapHost, events: &[ParamValueEvent]| {
        let mut sound = noise(9, 256);
        host.process_with(&mut sound, &InputEvents::from_buffer(&events), false).expect("a block");
        assert!(sound.iter().flatten().all(|x| x.is_finite()));
        host.answer();
    };
    let all = |value: f64| NAMES.map(|name| ParamValueEvent::new(0, id(name), Pckn::match_all(), value));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        send(&mut host, &all(value));
    }
    send(
        &mut host,
        &[
            ParamValueEvent::new(0, ClapId::new(12345), Pckn::match_all(), 1.0),
            ParamValueEvent::new(9, ClapId::new(0), Pckn::match_all(), 0.0),
        ],
    );
    assert_eq!(values(&mut host), before.0);
    assert!(host.save().expect("saved") == before.1);
    // Beyond the ends lies the end.
    for (value, ends) in [(1e9, [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), (-1e9, [0.0; 10])] {
        send(&mut host, &all(value));
        assert_eq!(values(&mut host), ends);
        let saved = host.save().expect("saved");
        let mut other = instance();
        other.load(&saved).expect("it can be loaded again");
        assert_eq!(values(&mut other), ends);
    }
}

#[test]
fn events_of_another_namespace_are_not_ours() {
    let mut host = instance();
    let before = values(&mut host);
    let events = NAMES.map(|name| clap_event_param_value {
        header: clap_event_header {
            size: size_of::<clap_event_param_value>() as u32,
            time: 0,
            space_id: 0xb33f,
            type_: CLAP_EVENT_PARAM_VALUE,
            flags: 0,
        },
        param_id: id(name).get(),
        cookie: null_mut(),
        note_id: -1,
        port_index: -1,
        channel: -1,
        key: -1,
        value: 1.0 - before[NAMES.iter().position(|n| *n == name).expect("its place")].min(1.0),
    });
    unsafe extern "C" fn size(_: *const clap_sys::events::clap_input_events) -> u32 {
        NAMES.len() as u32
    }
    unsafe extern "C" fn get(list: *const clap_sys::events::clap_input_events, index: u32) -> *const clap_event_header {
        // SAFETY: the list's context is the array of events, and the index is below its size.
        unsafe { (*list).ctx.cast::<clap_event_param_value>().add(index as usize).cast() }
    }
    let list = clap_sys::events::clap_input_events {
        ctx: events.as_ptr().cast_mut().cast(),
        size: Some(size),
        get: Some(get),
    };
    let params: PluginParams = host.extension("params").expect("parameters");
    let mut inactive = host.plugin.inactive_plugin_handle().expect("an inactive plugin");
    // SAFETY: the list and its events outlive the call.
    params.flush(&mut inactive, unsafe { InputEvents::from_raw(&list) }, &mut OutputEvents::void());
    assert_eq!(values(&mut host), before);
}

/// Controllers show the parameters in three pages, each parameter once.
#[test]
fn remote_controls_have_a_page_for_each_group() {
    use clap_sys::ext::remote_controls::{
        CLAP_EXT_REMOTE_CONTROLS, clap_plugin_remote_controls, clap_remote_controls_page,
    };
    let mut host = instance();
    let plugin = host.plugin.plugin_handle().as_raw_ptr();
    // SAFETY: the instance lives to the end of the test, and an extension's table as long as the instance.
    let pages = unsafe {
        let get = (*plugin).get_extension.expect("a way to extensions");
        get(plugin, CLAP_EXT_REMOTE_CONTROLS.as_ptr()).cast::<clap_plugin_remote_controls>().as_ref()
    };
    let pages = pages.expect("the extension");
    // SAFETY: a page is plain data, all zeros is one, and the plugin writes it whole.
    let page = |i: u32| unsafe {
        let mut page: clap_remote_controls_page = std::mem::zeroed();
        assert!((pages.get.expect("a way to pages"))(plugin, i, &mut page));
        page
    };
    // SAFETY: the instance lives.
    assert_eq!(unsafe { (pages.count.expect("a count"))(plugin) }, 3);
    let mut ids = Vec::new();
    for (i, wanted) in ["Voice", "Sound", "Captions"].into_iter().enumerate() {
        let page = page(i as u32);
        // SAFETY: the plugin ends its names with a zero.
        let name = unsafe { CStr::from_ptr(page.page_name.as_ptr()) };
        assert_eq!(name.to_str(), Ok(wanted));
        ids.extend(page.param_ids.into_iter().filter(|id| *id != u32::MAX));
    }
    ids.sort_unstable();
    let mut all: Vec<u32> = NAMES.iter().map(|name| id(name).get()).collect();
    all.sort_unstable();
    assert_eq!(ids, all);
}
