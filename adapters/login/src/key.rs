//! Keys, from files that nobody else can read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{Error as PemError, PemObject};
use sfbulk::login::Sign;
use sfbulk::{Error, ErrorKind};
use zeroize::{Zeroize, Zeroizing};

/// The largest key file read, in bytes; one of 8,192 bits has 7 KB.
const FILE: usize = 64 << 10;

/// An RSA key that signs JWTs (RS256), of 2,048 bits at least. The app has its certificate.
pub struct Key(KeyPair);

impl Key {
    /// The private key in a PEM text, `PRIVATE KEY` (PKCS #8) or `RSA PRIVATE KEY` (PKCS #1).
    ///
    /// Fails with [`ErrorKind::Usage`] if there is none, or it is encrypted, of another kind, or
    /// too short.
    pub fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let usage = |message: String| Error::new(ErrorKind::Usage, message);
        let mut key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
            let encrypted = pem.windows(9).any(|word| word == b"ENCRYPTED");
            match error {
                _ if encrypted => usage("the key is encrypted".into())
                    .advise("decrypt it into a file of mode 600: openssl pkey -in KEY -out FILE"),
                PemError::NoItemsFound => usage("the text holds no private key in PEM".into()),
                _ => usage("the PEM text is broken".into()),
            }
        })?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(usage("the key is of another kind: RS256 needs an RSA key".into())),
        };
        key.zeroize();
        pair.map(Self).map_err(|why| {
            usage(format!("the key cannot be used ({why})"))
                .advise("JWTs are signed with an RSA key of 2048 to 4096 bits")
        })
    }

    /// The same, from a file. On Unix it must be its owner's alone (mode 600 or 400).
    ///
    /// Fails with [`ErrorKind::Local`] if it cannot be read, else as [`from_pem`](Self::from_pem).
    pub fn from_file(name: impl AsRef<Path>) -> Result<Self, Error> {
        let (path, name) = (name.as_ref(), name.as_ref().display());
        let local = |why: &dyn fmt::Display| {
            Error::new(ErrorKind::Local, format!("the key file {name} cannot be read: {why}"))
        };
        let file = File::open(path).map_err(|error| local(&error))?;
        if is_open_to_others(&file).map_err(|error| local(&error))? {
            let message = format!("the key file {name} can be read by others");
            let advice = format!("make it yours alone: chmod 600 {name}");
            return Err(Error::new(ErrorKind::Usage, message).advise(advice));
        }
        let mut pem = Zeroizing::new(Vec::with_capacity(FILE)); // no copy is left by growing
        file.take(FILE as u64 - 1).read_to_end(&mut pem).map_err(|error| local(&error))?;
        Self::from_pem(&pem)
            .map_err(|error| Error::new(error.kind(), format!("the key file {name}: {error}")))
    }
}

impl Sign for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(
            |_| Error::new(ErrorKind::Local, "the login's JWT could not be signed by the key"),
        )?;
        Ok(signature)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

#[cfg(unix)]
fn is_open_to_others(file: &File) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

/// Elsewhere the file's own list of rights says who may read it.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn is_open_to_others(_: &File) -> std::io::Result<bool> {
    Ok(false)
}
