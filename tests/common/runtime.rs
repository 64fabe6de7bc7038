//! For integration tests: ONNX Runtime in the test itself.

use mynah::packs::Store;

/// Opens it.
pub fn runtime() {
    mynah::runtime::init(&Store::standard().runtime_library().expect("run `cargo xtask packs`"))
        .expect("ONNX Runtime opens");
}
