//! Keys of every form, and what is no key.

use std::fs;

use sfbulk::ErrorKind;
use sfbulk::login::Sign;
use sfbulk_login::Key;

/// The practice app's, which is nobody's secret.
const PKCS8: &[u8] = include_bytes!("../../org/src/practice_app.pem");
/// The same key.
const PKCS1: &[u8] = include_bytes!("keys/pkcs1.pem");

#[test]
fn a_key_of_either_form_signs_alike() {
    let signature = |pem| Key::from_pem(pem).unwrap().sign(b"message").unwrap();
    assert_eq!(signature(PKCS8), signature(PKCS1));
    assert_eq!(signature(PKCS8).len(), 256);
}

#[test]
fn what_is_no_rsa_key_is_told_what_it_is() {
    for (pem, words) in [
        (&include_bytes!("keys/encrypted.pem")[..], "openssl pkey"),
        (include_bytes!("keys/short.pem"), "2048"),
        (include_bytes!("keys/ec.pem"), "needs an RSA key"),
        (b"", "no private key"),
        (b"-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n", "broken"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "cannot be used"),
    ] {
        let error = Key::from_pem(pem).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(format!("{:?}", Key::from_pem(PKCS8).unwrap()), "Key { .. }");
}

#[cfg(unix)]
#[test]
fn a_key_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("server.key");
    fs::write(&name, PKCS8).unwrap();
    let open = |mode| {
        fs::set_permissions(&name, PermissionsExt::from_mode(mode)).unwrap();
        Key::from_file(&name)
    };
    assert!(open(0o600).is_ok());
    assert!(open(0o400).is_ok());
    fs::write(&name, include_bytes!("keys/encrypted.pem")).unwrap();
    let error = open(0o600).unwrap_err().to_string();
    assert!(error.contains("server.key: ") && error.contains("openssl pkey"), "{error}");
    for mode in [0o640, 0o604, 0o644] {
        assert!(open(mode).unwrap_err().to_string().contains("chmod 600"));
    }
    let error = Key::from_file(folder.path().join("none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local);
}
