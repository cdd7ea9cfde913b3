//! Clouds as people write them, in files and variables.

use super::*;

const KEYSTONE: &str = "https://keystone.example:5000/v3";

/// A home with files, and the folder that a command runs in.
struct Home(tempfile::TempDir);

impl Home {
    fn new(files: &[(&str, &str)]) -> Self {
        let home = Self(tempfile::tempdir().expect("a temporary folder"));
        for (path, text) in files {
            let path = home.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below home")).expect("made");
            std::fs::write(path, text).expect("written");
        }
        home
    }

    fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.0.path()).expect("UTF-8")
    }

    /// What the environment gives for a region of our Keystone.
    fn cloud_in(
        &self,
        region: &str,
        variables: &[(&str, &str)],
    ) -> Result<Option<Cloud>, CloudError> {
        let place = OpenstackSource {
            endpoint: KEYSTONE.to_owned(),
            region: region.to_owned(),
        };
        let home = self.path().to_string();
        let shared = self.path().join("shared").into_string();
        Cloud::for_source(&place, &self.path().join("work"), |name| match name {
            "HOME" => Some(home.clone()),
            "XDG_CONFIG_DIRS" => Some(shared.clone()),
            name => variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.replace("HOME", &home)),
        })
    }

    fn cloud(&self, variables: &[(&str, &str)]) -> Cloud {
        let found = self.cloud_in("R1", variables);
        found.expect("readable").expect("about this Keystone")
    }

    fn error(&self, variables: &[(&str, &str)]) -> CloudError {
        self.cloud_in("R1", variables).expect_err("an error")
    }
}

/// The values by key, for comparison only.
fn values(cloud: &Cloud) -> Vec<(&'static str, String)> {
    let keys = [
        "application_credential_id",
        "application_credential_name",
        "application_credential_secret",
        "ca_cert",
        "insecure",
        "password",
        "project_domain_id",
        "project_domain_name",
        "project_id",
        "project_name",
        "token",
        "user_domain_id",
        "user_domain_name",
        "user_id",
        "username",
    ];
    let value = |key: &'static str| {
        let value = cloud.credentials.get(key)?;
        Some((key, value.expose_secret().to_owned()))
    };
    keys.into_iter().filter_map(value).collect()
}

fn pairs(pairs: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    pairs
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect()
}

// Variables: a password with domains by name, by id, one for both, or none at all; old names of the
// project; certificates. What is shown has no secret.
#[test]
fn variables() {
    let home = Home::new(&[("ca.pem", "PEM")]);
    let user = [
        ("OS_AUTH_URL", "https://keystone.example:5000"),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "hunter2"),
    ];
    let with = |more: &[(&'static str, &'static str)]| home.cloud(&[&user, more].concat());
    let named = with(&[
        ("OS_PROJECT_NAME", "p"),
        ("OS_USER_DOMAIN_NAME", "people"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
        ("OS_CACERT", "~/ca.pem"),
        ("OS_REGION_NAME", "R1"),
    ]);
    let expected = [
        ("ca_cert", "PEM"),
        ("password", "hunter2"),
        ("project_domain_id", "default"),
        ("project_name", "p"),
        ("user_domain_name", "people"),
        ("username", "u"),
    ];
    assert_eq!(values(&named), pairs(&expected));
    assert_eq!(named.who, "as `u` of project `p`");
    assert_eq!(named.way, "OS_* of the environment");
    assert!(!format!("{named:?}").contains("hunter2"));

    let bare = with(&[("OS_TENANT_NAME", "p"), ("OS_INSECURE", "True")]);
    let expected = [
        ("insecure", "true"),
        ("password", "hunter2"),
        ("project_domain_id", "default"),
        ("project_name", "p"),
        ("user_domain_id", "default"),
        ("username", "u"),
    ];
    assert_eq!(values(&bare), pairs(&expected));
    let both = with(&[("OS_PROJECT_ID", "1"), ("OS_DOMAIN_NAME", "d")]);
    let expected = [
        ("password", "hunter2"),
        ("project_id", "1"),
        ("user_domain_name", "d"),
        ("username", "u"),
    ];
    assert_eq!(values(&both), pairs(&expected));
}

// Application credentials by id or by name, and tokens: ways that the engine does not know.
#[test]
fn other_proofs() {
    let home = Home::new(&[]);
    let at = ("OS_AUTH_URL", KEYSTONE);
    let by_id = home.cloud(&[
        at,
        ("OS_AUTH_TYPE", "v3applicationcredential"),
        ("OS_APPLICATION_CREDENTIAL_ID", "i"),
        ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
        ("OS_PROJECT_NAME", "it has one of its own"),
    ]);
    let expected = [
        ("application_credential_id", "i"),
        ("application_credential_secret", "s"),
    ];
    assert_eq!(values(&by_id), pairs(&expected));
    assert_eq!(by_id.who, "with the application credential `i`");
    let by_name = home.cloud(&[
        at,
        ("OS_APPLICATION_CREDENTIAL_NAME", "n"),
        ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
        ("OS_USER_ID", "7"),
    ]);
    let expected = [
        ("application_credential_name", "n"),
        ("application_credential_secret", "s"),
        ("user_id", "7"),
    ];
    assert_eq!(values(&by_name), pairs(&expected));
    let token = home.cloud(&[at, ("OS_TOKEN", "t"), ("OS_PROJECT_ID", "1")]);
    assert_eq!(
        values(&token),
        pairs(&[("project_id", "1"), ("token", "t")])
    );
    assert_eq!(token.who, "with a token of project `1`");
}

const CLOUDS: &str = "\
common: &common
  region_name: R1
  verify: false
clouds:
  lab:
    <<: *common
    auth: &auth { auth_url: 'https://keystone.example:5000/v2.0', username: u, project_name: 007a }
  other:
    auth: { auth_url: https://elsewhere.example/v3, username: u, password: p, project_name: p }
  wide:
    regions: [ R2, { name: R3 } ]
    auth: { <<: *auth, password: 1234, domain_id: d }
";

// A cloud of a file, with its secret in another; merge keys, numbers, several regions.
#[test]
fn a_cloud_of_a_file() {
    let home = Home::new(&[
        (".config/openstack/clouds.yaml", CLOUDS),
        (
            ".config/openstack/secure.yaml",
            "clouds: { lab: { auth: { password: hunter2 } } }",
        ),
    ]);
    let lab = home.cloud(&[("OS_CLOUD", "lab"), ("OS_PASSWORD", "not this one")]);
    let expected = [
        ("insecure", "true"),
        ("password", "hunter2"),
        ("project_domain_id", "default"),
        ("project_name", "007a"),
        ("user_domain_id", "default"),
        ("username", "u"),
    ];
    assert_eq!(values(&lab), pairs(&expected));
    let path = home.path().join(".config/openstack/clouds.yaml");
    assert_eq!(lab.way, format!("the cloud `lab` of `{path}`"));
    let wide = |region| home.cloud_in(region, &[("OS_CLOUD", "wide")]);
    for region in ["R2", "R3"] {
        let cloud = wide(region).expect("readable").expect("of this region");
        let expected = [
            ("password", "1234"),
            ("project_domain_id", "d"),
            ("project_name", "007a"),
            ("user_domain_id", "d"),
            ("username", "u"),
        ];
        assert_eq!(values(&cloud), pairs(&expected));
    }
    assert!(matches!(wide("R1"), Ok(None)));
}

// The first file that is there counts: the named one, here, the user's, the machine's. A cloud that
// is alone needs no OS_CLOUD; of several, none is guessed.
#[test]
fn which_file() {
    let only = |user: &str| {
        format!(
            "{{\"clouds\": {{\"only\": {{\"auth\": {{\"auth_url\": \"{KEYSTONE}\", \"username\": \
             \"{user}\", \"password\": \"p\", \"project_id\": \"1\"}}}}}}}}"
        )
    };
    let places = [
        "named.json",
        "work/clouds.yml",
        "xdg/openstack/clouds.yaml",
        ".config/openstack/clouds.json",
        "shared/openstack/clouds.yaml",
    ];
    let texts = places.map(only);
    let files: Vec<_> = places
        .into_iter()
        .zip(texts.iter().map(String::as_str))
        .collect();
    for at in 0..places.len() {
        let home = Home::new(&files[at..]);
        let cloud = home.cloud(&[
            ("OS_CLIENT_CONFIG_FILE", "HOME/named.json"),
            ("XDG_CONFIG_HOME", "HOME/xdg"),
        ]);
        assert_eq!(cloud.credentials.user(), Some(places[at]));
    }
    let several = Home::new(&[("work/clouds.yaml", CLOUDS)]);
    assert!(matches!(several.cloud_in("R1", &[]), Ok(None)));
    assert!(matches!(Home::new(&[]).cloud_in("R1", &[]), Ok(None)));
}

// The environment is for one Keystone and region; for another it is as if it were not there, even
// where it is broken.
#[test]
fn which_keystone() {
    let home = Home::new(&[("work/clouds.yaml", CLOUDS)]);
    let at = |url: &str| {
        let place = OpenstackSource {
            endpoint: url.to_owned(),
            region: "R1".to_owned(),
        };
        Cloud::for_source(&place, home.path(), |name| {
            (name == "OS_AUTH_URL").then(|| "https://k.example/identity".to_owned())
        })
    };
    assert!(matches!(
        at("https://k.example:443/identity/v3/"),
        Err(CloudError::Missing { .. })
    ));
    for other in [
        "http://k.example/identity/v3",
        "https://k.example:5000/identity",
        "https://k.example/west/identity/v3",
        "nonsense",
    ] {
        assert!(matches!(at(other), Ok(None)), "{other}");
    }
    assert!(matches!(
        home.cloud_in("R1", &[("OS_CLOUD", "other")]),
        Ok(None)
    ));
    let elsewhere = [("OS_AUTH_URL", KEYSTONE), ("OS_REGION_NAME", "R2")];
    assert!(matches!(home.cloud_in("R1", &elsewhere), Ok(None)));
}

// What is wrong is named, with where it is written; nothing that may be a password is repeated.
#[test]
fn what_is_wrong() {
    let home = Home::new(&[
        ("work/clouds.yaml", CLOUDS),
        ("broken.yaml", "clouds: [hunter2"),
        (
            "more.yaml",
            "clouds:\n  profile: { profile: vexxhost, auth: { password: hunter2 } }\n  \
             float: { auth: { auth_url: 'https://k', password: 1.50 } }\n",
        ),
    ]);
    let no_password = home.error(&[("OS_CLOUD", "lab")]).to_string();
    assert!(no_password.contains("`lab`") && no_password.contains("`password`"));
    let unknown = home.error(&[("OS_CLOUD", "labb")]).to_string();
    assert!(unknown.contains("`lab`, `other` and `wide`"), "{unknown}");
    let broken = [("OS_CLIENT_CONFIG_FILE", "HOME/broken.yaml")];
    let error = home.error(&broken);
    assert!(matches!(error, CloudError::NotClouds { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let more = |name| {
        [
            ("OS_CLIENT_CONFIG_FILE", "HOME/more.yaml"),
            ("OS_CLOUD", name),
        ]
    };
    let error = home.error(&more("profile"));
    assert!(matches!(error, CloudError::NoAddress { .. }), "{error:?}");
    let error = home.error(&more("float"));
    assert!(matches!(error, CloudError::NotText { .. }), "{error:?}");
    let nowhere = Home::new(&[]).error(&[("OS_CLOUD", "lab")]);
    assert!(matches!(nowhere, CloudError::NoFile { .. }));

    let user = [
        ("OS_AUTH_URL", KEYSTONE),
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "hunter2"),
        ("OS_PROJECT_ID", "1"),
    ];
    let with = |more: (&'static str, &'static str)| home.error(&[&user[..], &[more]].concat());
    let method = with(("OS_AUTH_TYPE", "v3oidcpassword")).to_string();
    assert!(method.contains("v3oidcpassword"), "{method}");
    let ca = with(("OS_CACERT", "/nowhere/ca.pem")).to_string();
    assert!(ca.contains("/nowhere/ca.pem"), "{ca}");
}
