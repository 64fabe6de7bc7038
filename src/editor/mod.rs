//! The window: see `create`.

use std::sync::Arc;

use nice_plug_egui::{EguiEditor, EguiEditorState, EguiNiceSettings, NiceEguiApp, RepaintNotifier};

use crate::plugin::instance::Instance;

/// The window's type for the plugin shell.
pub type MynahEditor = EguiEditor<Window>;

/// The window.
pub struct Window {
    _instance: Arc<Instance>,
}

impl NiceEguiApp for Window {
    fn ui(&mut self, _ui: &mut egui::Ui, _frame: &mut nice_plug_egui::Frame) {}
}

/// Makes the editor.
pub fn create(instance: Arc<Instance>) -> Option<MynahEditor> {
    let state = EguiEditorState::from_size(nice_plug::editor::dpi::LogicalSize::new(900.0, 560.0), 1.0);
    nice_plug_egui::create_egui_editor(state, RepaintNotifier::default(), EguiNiceSettings::default(), Window { _instance: instance })
}
