//! Execution providers: their names, and how each is registered alone, with an error where it fails.

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use serde::{Deserialize, Serialize};

/// What computes a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// The processor; always there.
    #[default]
    Cpu,
    /// NVIDIA CUDA.
    Cuda,
    /// NVIDIA TensorRT.
    TensorRt,
    /// DirectML on Windows.
    DirectMl,
    /// CoreML on Apple machines.
    CoreMl,
    /// Intel OpenVINO.
    OpenVino,
    /// WebGPU.
    WebGpu,
}

impl Provider {
    /// All providers; the processor first.
    pub const ALL: [Provider; 7] =
        [Provider::Cpu, Provider::Cuda, Provider::TensorRt, Provider::DirectMl, Provider::CoreMl, Provider::OpenVino, Provider::WebGpu];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
            Provider::DirectMl => "directml",
            Provider::CoreMl => "coreml",
            Provider::OpenVino => "openvino",
            Provider::WebGpu => "webgpu",
        }
    }

    /// ONNX Runtime's own name of it.
    pub(super) fn runtime_name(self) -> &'static str {
        match self {
            Provider::Cpu => "CPUExecutionProvider",
            Provider::Cuda => "CUDAExecutionProvider",
            Provider::TensorRt => "TensorrtExecutionProvider",
            Provider::DirectMl => "DmlExecutionProvider",
            Provider::CoreMl => "CoreMLExecutionProvider",
            Provider::OpenVino => "OpenVINOExecutionProvider",
            Provider::WebGpu => "WebGpuExecutionProvider",
        }
    }

    /// Whether the open library was compiled with it. That it works is only known from loading a session.
    pub fn compiled_in(self) -> bool {
        // Asking the runtime's binding before a library is open would panic.
        if super::library().is_none() {
            return false;
        }
        let there = match self {
            Provider::Cpu => Ok(true),
            Provider::Cuda => ep::CUDA::is_available(),
            Provider::TensorRt => ep::TensorRT::is_available(),
            Provider::DirectMl => ep::DirectML::is_available(),
            Provider::CoreMl => ep::CoreML::is_available(),
            Provider::OpenVino => ep::OpenVINO::is_available(),
            Provider::WebGpu => ep::WebGPU::is_available(),
        };
        there.unwrap_or(false)
    }

    /// The registration, failing loudly; `None` for the processor, which needs none.
    pub(super) fn dispatch(self) -> Option<ExecutionProviderDispatch> {
        let dispatch = match self {
            Provider::Cpu => return None,
            Provider::Cuda => ep::CUDA::default().build(),
            Provider::TensorRt => ep::TensorRT::default().build(),
            Provider::DirectMl => ep::DirectML::default().build(),
            Provider::CoreMl => ep::CoreML::default().build(),
            Provider::OpenVino => ep::OpenVINO::default().build(),
            Provider::WebGpu => ep::WebGPU::default().build(),
        };
        Some(dispatch.error_on_failure())
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Provider {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Provider::ALL.into_iter().find(|p| p.name() == s).ok_or_else(|| {
            let names: Vec<_> = Provider::ALL.iter().map(|p| p.name()).collect();
            format!("`{s}` is no provider; choose one of {}", names.join(", "))
        })
    }
}
