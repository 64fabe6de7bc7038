//! Providers: their names, and how each execution provider is registered alone, with an error where it fails.

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use serde::{Deserialize, Serialize};

use super::remote::Server;

/// What computes a model. In settings and projects it is its text: `cpu`, `cuda`, `remote=http://host:8000`, the last
/// with what was measured of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// A server that speaks the Open Inference Protocol; it computes the voice and nothing else.
    Remote(Server),
}

/// How the text of a server begins.
const REMOTE: &str = "remote=";

impl Provider {
    /// All that may compute here; the processor first.
    pub const ALL: [Provider; 7] = [
        Provider::Cpu,
        Provider::Cuda,
        Provider::TensorRt,
        Provider::DirectMl,
        Provider::CoreMl,
        Provider::OpenVino,
        Provider::WebGpu,
    ];

    /// The name used on the command line; of a server, what stands before its address.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Cpu => "cpu",
            Provider::Cuda => "cuda",
            Provider::TensorRt => "tensorrt",
            Provider::DirectMl => "directml",
            Provider::CoreMl => "coreml",
            Provider::OpenVino => "openvino",
            Provider::WebGpu => "webgpu",
            Provider::Remote(_) => "remote",
        }
    }

    /// The server that computes, where one does.
    pub fn server(self) -> Option<Server> {
        match self {
            Provider::Remote(server) => Some(server),
            _ => None,
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
            Provider::Remote(_) => "remote",
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
            Provider::Remote(_) => Ok(false),
        };
        there.unwrap_or(false)
    }

    /// The registration, failing loudly; `None` for the processor, which needs none, and for a server, which is none.
    pub(super) fn dispatch(self) -> Option<ExecutionProviderDispatch> {
        let dispatch = match self {
            Provider::Cpu | Provider::Remote(_) => return None,
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
        match self {
            Provider::Remote(server) => write!(f, "{REMOTE}{server}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl std::str::FromStr for Provider {
    type Err = String;

    /// A provider as somebody chooses it: what was measured of a server before is forgotten, so that it is measured
    /// again.
    fn from_str(s: &str) -> Result<Self, String> {
        if let Some(address) = s.strip_prefix(REMOTE) {
            return Server::chosen(address).map(Provider::Remote);
        }
        Provider::ALL.into_iter().find(|p| p.name() == s).ok_or_else(|| {
            let names: Vec<_> = Provider::ALL.iter().map(|p| p.name()).collect();
            format!("`{s}` is no provider; choose one of {}, or {REMOTE}http://HOST:PORT", names.join(", "))
        })
    }
}

impl From<Provider> for String {
    fn from(provider: Provider) -> Self {
        match provider {
            Provider::Remote(server) => format!("{REMOTE}{}", server.saved()),
            _ => provider.name().to_owned(),
        }
    }
}

impl TryFrom<String> for Provider {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix(REMOTE) {
            Some(saved) => Server::restored(saved).map(Provider::Remote),
            None => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_providers_come_back() {
        let server = "remote=http://10.0.0.7:8000".parse().expect("a server");
        for provider in Provider::ALL.into_iter().chain([server]) {
            assert_eq!(provider.to_string().parse(), Ok(provider));
            let saved = serde_json::to_string(&provider).expect("saved");
            assert_eq!(serde_json::from_str::<Provider>(&saved).expect("restored"), provider);
        }
        assert_eq!(serde_json::to_string(&Provider::TensorRt).expect("saved"), "\"tensorrt\"");
        for (wrong, why) in [
            ("gpu", "choose one of cpu, cuda"),
            ("remote=https://x", "http://HOST:PORT"),
            ("remote=", "http://HOST:PORT"),
        ] {
            let said = wrong.parse::<Provider>().expect_err(wrong);
            assert!(said.contains(why), "{said}");
            assert!(serde_json::from_str::<Provider>(&format!("\"{wrong}\"")).is_err());
        }
    }
}
