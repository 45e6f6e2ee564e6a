//! What lies behind a request that got no answer, in words for people.

use std::error::Error as StdError;

/// What an authentication plugin or a token file lets us down with, without its output, which may hold a token.
pub(crate) fn credentials(error: &kube::client::AuthError) -> String {
    match error {
        kube::client::AuthError::AuthExecRun { cmd, out } => format!("{cmd} ended with {}", out.status),
        kube::client::AuthError::AuthExecParse(_) => "the exec plugin's output is no ExecCredential".to_owned(),
        other => other.to_string(),
    }
}

/// Finds what TLS says about certificates somewhere below an error.
pub(crate) fn certificate(error: &(dyn StdError + 'static)) -> Option<String> {
    let mut current = Some(error);
    for _ in 0..16 {
        let error = current?;
        if let Some(
            tls @ (rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
            | rustls::Error::AlertReceived(_)),
        ) = error.downcast_ref::<rustls::Error>()
        {
            return Some(tls.to_string());
        }
        // The source of an I/O error is that of the error in it, which would be passed over.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        current = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// What the network says, without kube's name for the layer that said it.
pub(crate) fn network(error: &kube::Error) -> String {
    match error {
        kube::Error::Service(inner) => chain(inner.as_ref()),
        kube::Error::HyperError(inner) => chain(inner),
        other => chain(other),
    }
}

/// The causes of an error in one line, each said once.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = String::new();
    let mut current = Some(error);
    for _ in 0..16 {
        let Some(error) = current else { break };
        let words = error.to_string();
        if !text.contains(&words) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&words);
        }
        current = error.source();
    }
    text
}
