//! TLS: rustls, with the roots of the platform and those the application brings.

use std::sync::{Arc, OnceLock};

use futures_rustls::TlsConnector;
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls_platform_verifier::Verifier;
use sfbulk::{Error, ErrorKind};

use crate::net::Wire;

/// Whom to trust. The platform is asked for its roots when the first session is made.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Tls {
    /// Trusts these authorities besides the platform's.
    pub(crate) fn with_extra(pem: &[u8]) -> Result<Self, Error> {
        let bad = |why: &str| {
            Error::new(ErrorKind::Usage, format!("no PEM text with certificates: {why}"))
        };
        let extra: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let extra = extra.map_err(|e| bad(&e.to_string()))?;
        if extra.is_empty() {
            return Err(bad("there is none in it"));
        }
        Ok(Self { extra, config: OnceLock::new() })
    }

    /// A session with `host` over `wire`. Its certificate must be valid for this name.
    pub(crate) async fn session(
        &self,
        wire: Box<dyn Wire>,
        host: &str,
    ) -> Result<Box<dyn Wire>, String> {
        let config = self.config.get_or_init(|| self.configure()).clone()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
        let session = TlsConnector::from(config).connect(name, wire).await;
        Ok(Box::new(session.map_err(|e| e.to_string())?))
    }

    fn configure(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let verifier = Verifier::new_with_extra_roots(self.extra.iter().cloned(), provider)
            .map_err(|e| format!("the platform's roots cannot be read: {e}"))?;
        let config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Arc::new(config.with_no_client_auth()))
    }
}
