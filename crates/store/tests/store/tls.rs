//! TLS to PostgreSQL, with certificates made for the moment.

use std::path::Path;
use std::process::Command;

use latimer_scratch::PostgresServer;
use latimer_store::{Postgres, PostgresOptions, Store, StoreError};

use crate::postgres::client;

/// A certificate for 127.0.0.1 that vouches for itself, and its key.
const CERTIFICATE: &str = "[req]
distinguished_name = name
x509_extensions = extensions
prompt = no
[name]
CN = latimer
[extensions]
subjectAltName = IP:127.0.0.1
basicConstraints = critical, CA:FALSE
";

async fn ready(address: &str) -> Result<(), StoreError> {
    Postgres::new(address, PostgresOptions::default())?.ready().await
}

#[tokio::test]
async fn a_certificate_is_always_verified() {
    let Some(server) = PostgresServer::start().unwrap() else { return };
    let directory = tempfile::tempdir().unwrap();
    let address = server.address();
    let plain = ready(&format!("{address}?sslmode=require")).await;
    assert!(matches!(plain, Err(StoreError::Refused(_))), "{plain:?}");
    if !certify(directory.path()) {
        eprintln!("SKIPPED: no openssl here to make a certificate");
        return;
    }
    install(directory.path(), &address).await;
    server.crash().unwrap();
    server.begin().unwrap();

    let roots = directory.path().join("certificate.pem");
    let trusted = format!("{address}?sslmode=verify-full&sslrootcert={}", roots.display());
    let store = Postgres::new(&trusted, PostgresOptions::default()).unwrap();
    store.ready().await.unwrap();
    let secured = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE ssl AND application_name = 'latimer'";
    let secured: i64 = client(&address).await.query_one(secured, &[]).await.unwrap().get(0);
    assert_eq!(secured, 1);

    let nowhere = directory.path().join("nowhere.pem");
    for (address, why) in [
        (address.clone(), "whom nobody vouches for, although TLS is not required"),
        (trusted.replace("127.0.0.1", "localhost"), "another name"),
        (trusted.replace("certificate.pem", "key.pem"), "no certificate in the file"),
        (format!("{address}?sslrootcert={}", nowhere.display()), "no file"),
    ] {
        let refused = ready(&address).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{why}: {refused:?}");
    }
}

/// Makes a certificate; says whether that is possible here.
fn certify(directory: &Path) -> bool {
    std::fs::write(directory.join("request"), CERTIFICATE).unwrap();
    let arguments = "req -x509 -config request -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
                     -nodes -days 2 -keyout key.pem -out certificate.pem";
    let mut openssl = Command::new("openssl");
    let made = openssl.args(arguments.split_whitespace()).current_dir(directory).output();
    made.is_ok_and(|output| output.status.success())
}

/// Has the server write the certificate and the key itself, so that they are its own.
async fn install(directory: &Path, address: &str) {
    let admin = client(address).await;
    let data: String = admin.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    for (setting, file) in [("ssl_cert_file", "certificate.pem"), ("ssl_key_file", "key.pem")] {
        let text = std::fs::read_to_string(directory.join(file)).unwrap();
        let lines = format!("SELECT unnest(string_to_array('{}', E'\\n'))", text.trim());
        let copy = format!("COPY ({lines}) TO PROGRAM 'umask 077; cat > {data}/{file}'");
        admin.batch_execute(&copy).await.unwrap();
        let set = format!("ALTER SYSTEM SET {setting} = '{data}/{file}'");
        admin.batch_execute(&set).await.unwrap();
    }
    admin.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
}
