//! A little vCenter over a real socket, for what a real one does only on a bad day.

use std::sync::{Arc, Mutex};

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use crate::NoProgress;

/// What the server does wrong, each as often as it says.
#[derive(Debug, Default)]
struct Faults {
    /// The session ends by itself before these calls of a list, counted from 1, answered by a
    /// fault…
    end_at: Vec<u32>,
    /// … or by 200 and `NotAuthenticated` on every path.
    silently: bool,
    /// This property is not known; the call is refused.
    unknown: Option<&'static str>,
    /// Tokens are refused so many times.
    bad_tokens: u32,
    /// The first VM is gone when its details are asked for.
    deleted: bool,
    /// Every list is answered with this instead.
    page: Option<&'static str>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    sessions: Vec<String>,
    logins: u32,
    lists: u32,
    refused_logins: u32,
}

/// One datacenter `F0/DC0` with three VMs, two to a page.
#[derive(Clone, Debug, Default)]
struct Fake(Arc<Mutex<State>>);

const PASSWORD: &str = "a<b>&\"c' ü";

impl Respond for Fake {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().expect("one test, no panic");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        if request.method.as_str() == "GET" {
            return ResponseTemplate::new(200).set_body_string(
                "<namespaces><namespace><name>urn:vim25</name><version>9.9</version>\
                 <priorVersions><version>8.0.1.0</version><version>7.0</version></priorVersions>\
                 </namespace></namespaces>",
            );
        }
        let tree = crate::xml::read_flat(&body).expect("we send XML");
        let call = tree.root().child("Body").and_then(|body| body.children().next());
        let call = call.expect("an envelope");
        let cookie = request
            .headers
            .get("cookie")
            .and_then(|v| v.to_str().ok())
            .unwrap_or("");
        let cookie = cookie.to_owned();
        match call.name() {
            "RetrieveServiceContent" => {
                ok("<returnval><rootFolder type='Folder'>group-d1</rootFolder>\
                 <propertyCollector type='PropertyCollector'>pc</propertyCollector>\
                 <viewManager type='ViewManager'>vm</viewManager>\
                 <about><fullName>Fake 1.0</fullName><instanceUuid>u-1</instanceUuid></about>\
                 <sessionManager type='SessionManager'>sm</sessionManager></returnval>")
            }
            "Login" if call.text_of("password") != Some(PASSWORD) => {
                state.refused_logins += 1;
                fault("InvalidLogin", "")
            }
            // A session that is still good cannot log in again.
            "Login" if state.sessions.contains(&cookie) => fault("InvalidLogin", ""),
            "Login" => {
                state.logins += 1;
                let session = format!("vmware_soap_session=\"s{}\"", state.logins);
                state.sessions.push(session.clone());
                ok("<returnval/>").insert_header("set-cookie", format!("{session}; Path=/"))
            }
            "Logout" => {
                state.sessions.retain(|session| *session != cookie);
                ok("")
            }
            _ if !state.sessions.contains(&cookie) => fault("NotAuthenticated", ""),
            "CreateContainerView" => {
                let is_vms = call.text_of("type") == Some("VirtualMachine");
                let view = if is_vms { "view-vms" } else { "view-places" };
                ok(&format!(
                    "<returnval type='ContainerView'>{view}</returnval>"
                ))
            }
            "RetrievePropertiesEx" | "ContinueRetrievePropertiesEx" => {
                state.lists += 1;
                let ends = state.lists;
                if state.faults.end_at.contains(&ends) {
                    state.sessions.clear();
                    if state.faults.silently {
                        return ok(NOBODY);
                    }
                    return fault("NotAuthenticated", "");
                }
                list(&mut state, &body)
            }
            _ => ok(""),
        }
    }
}

/// How a server answers without a session if it has a mind not to say so.
const NOBODY: &str = "<returnval><objects><obj type='VirtualMachine'>vm-1</obj><missingSet>\
    <path>name</path><fault><fault xsi:type='NotAuthenticated'/></fault></missingSet></objects>\
    </returnval>";

fn list(state: &mut State, body: &str) -> ResponseTemplate {
    if let Some(page) = state.faults.page {
        return ResponseTemplate::new(200).set_body_string(page);
    }
    if let Some(unknown) = state.faults.unknown.filter(|path| body.contains(path)) {
        return fault("InvalidProperty", &format!("<name>{unknown}</name>"));
    }
    if body.contains("<token>") {
        if state.faults.bad_tokens > 0 {
            state.faults.bad_tokens -= 1;
            return fault("InvalidProperty", "<name>token</name>");
        }
        return ok(&format!("<returnval>{}</returnval>", light(3)));
    }
    if body.contains("view-places") {
        return ok(PLACES);
    }
    if body.contains("view-vms") {
        // "0" is a token like any other.
        return ok(&format!(
            "<returnval><token>0</token>{}{}</returnval>",
            light(1),
            light(2)
        ));
    }
    let asked = (1..=3).filter(|n| body.contains(&format!(">vm-{n}<")));
    let mut asked: Vec<u32> = asked.collect();
    if std::mem::take(&mut state.faults.deleted) {
        return fault(
            "ManagedObjectNotFound",
            "<obj type='VirtualMachine'>vm-1</obj>",
        );
    }
    asked.retain(|n| body.contains(&format!(">vm-{n}<")));
    let objects: String = asked.into_iter().map(heavy).collect();
    ok(&format!("<returnval>{objects}</returnval>"))
}

const PLACES: &str = "<returnval>\
    <objects><obj type='Folder'>g1</obj><propSet><name>name</name><val>F0</val></propSet></objects>\
    <objects><obj type='Datacenter'>dc1</obj><propSet><name>name</name><val>DC0</val></propSet>\
    <propSet><name>parent</name><val type='Folder'>g1</val></propSet>\
    <propSet><name>vmFolder</name><val type='Folder'>v0</val></propSet></objects>\
    <objects><obj type='Folder'>v0</obj><propSet><name>name</name><val>vm</val></propSet>\
    <propSet><name>parent</name><val type='Datacenter'>dc1</val></propSet></objects>\
    <objects><obj type='DistributedVirtualPortgroup'>dvportgroup-7</obj>\
    <propSet><name>name</name><val>prod</val></propSet></objects>\
    <objects><obj type='DistributedVirtualPortgroup'>dvportgroup-8</obj>\
    <propSet><name>name</name><val>prod</val></propSet></objects></returnval>";

fn light(n: u32) -> String {
    format!(
        "<objects><obj type='VirtualMachine'>vm-{n}</obj>\
         <propSet><name>name</name><val>web%2f{n}</val></propSet>\
         <propSet><name>parent</name><val type='Folder'>v0</val></propSet>\
         <propSet><name>rootSnapshot</name></propSet>\
         <propSet><name>summary.config</name><val><instanceUuid>id-{n}</instanceUuid>\
         <annotation>one&#xA;two &amp; three</annotation></val></propSet>\
         <propSet><name>runtime.powerState</name><val>poweredOn</val></propSet></objects>"
    )
}

fn heavy(n: u32) -> String {
    format!(
        "<objects><obj type='VirtualMachine'>vm-{n}</obj>\
         <propSet><name>config.hardware.memoryMB</name><val>2048</val></propSet>\
         <propSet><name>config.hardware.device</name><val>\
         <VirtualDevice xsi:type='ParaVirtualSCSIController'><key>1000</key><busNumber>0</busNumber>\
         <sharedBus>physicalSharing</sharedBus></VirtualDevice>\
         <VirtualDevice xsi:type='VirtualDisk'><key>2000</key><controllerKey>1000</controllerKey>\
         <unitNumber>1</unitNumber><capacityInKB>1048576</capacityInKB>\
         <backing xsi:type='VirtualDiskRawDiskMappingVer1BackingInfo'>\
         <compatibilityMode>virtualMode</compatibilityMode></backing></VirtualDevice>\
         <VirtualDevice xsi:type='VirtualVmxnet3'><key>4000</key><macAddress>00:50:56:AA:00:01\
         </macAddress><backing><port><portgroupKey>dvportgroup-7</portgroupKey></port></backing>\
         </VirtualDevice><VirtualDevice xsi:type='VirtualQuantumCard'><key>9</key></VirtualDevice>\
         </val></propSet></objects>"
    )
}

fn envelope(body: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
         xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Body>{body}</s:Body>\
         </s:Envelope>"
    )
}

fn ok(body: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string(envelope(&format!("<Response>{body}</Response>")))
}

fn fault(kind: &str, detail: &str) -> ResponseTemplate {
    let fault = format!(
        "<s:Fault><faultstring>no</faultstring><detail><f xsi:type=\"{kind}\">{detail}</f></detail>\
         </s:Fault>"
    );
    ResponseTemplate::new(500).set_body_string(envelope(&fault))
}

/// Pulls `F0/DC0` of a server with these faults; gives the result and the server's state.
async fn pulled(
    faults: Faults,
    password: &str,
) -> (Result<SourceInventory, VsphereError>, Arc<Mutex<State>>) {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    let fake = Fake(Arc::new(Mutex::new(State {
        faults,
        ..State::default()
    })));
    Mock::given(any())
        .respond_with(fake.clone())
        .mount(&server)
        .await;
    let place = VmwareSource {
        endpoint: format!("{}/sdk", server.uri()),
        datacenter: "/F0/DC0".to_owned(),
    };
    let credentials = Credentials::from_iter([("username", "reader"), ("password", password)]);
    let http = Http::new(Trust::new(None, CA_KEY), "test")
        .expect("a client")
        .impatient();
    let name = SourceName::from("vc");
    let access = Access::default();
    let stop = std::future::pending();
    let result =
        pull_through(&http, &name, &place, &credentials, access, &NoProgress, stop).await;
    let open = fake.0.lock().expect("no panic").sessions.clone();
    assert!(open.is_empty(), "sessions are left open: {open:?}");
    (result, fake.0)
}

// The whole way: version, login with an awkward password, pages with token "0", details.
#[tokio::test]
async fn a_good_day() {
    let (result, state) = pulled(Faults::default(), PASSWORD).await;
    let inventory = result.expect("read");
    assert_eq!(inventory.about.api["vim25"], "8.0.1.0");
    assert_eq!(inventory.about.datacenter.as_deref(), Some("F0/DC0"));
    assert_eq!(
        (inventory.about.tls.as_str(), inventory.about.gaps.len()),
        ("plain", 0)
    );
    let ids: Vec<_> = inventory.vms.iter().map(|vm| vm.id.as_str()).collect();
    assert_eq!(ids, ["id-1", "id-2", "id-3"]);
    let vm = &inventory.vms[0];
    assert_eq!(
        (vm.name.as_str(), vm.display_name.as_deref()),
        ("web%2f1", Some("web/1"))
    );
    assert_eq!(
        (vm.dc.as_deref(), vm.folder.as_deref()),
        (Some("F0/DC0"), Some(""))
    );
    assert_eq!(vm.description.as_deref(), Some("one\ntwo & three"));
    assert_eq!(vm.disks[0].capacity_bytes.0, 1 << 30);
    assert_eq!(vm.disks[0].backing.as_deref(), Some("rdm-virtual"));
    assert_eq!(vm.disks[0].sharing.as_deref(), Some("physicalSharing"));
    assert_eq!(vm.nics[0].network_name.as_deref(), Some("prod"));
    assert_eq!(vm.nics[0].mac.as_deref(), Some("00:50:56:aa:00:01"));
    assert_eq!(vm.other_devices, ["VirtualQuantumCard"]);
    assert!(
        inventory
            .networks
            .iter()
            .all(|network| network.duplicate_name)
    );
    assert_eq!(state.lock().expect("no panic").logins, 1);
}

// A session that ends is opened again, in whatever way and wherever the server lets it end, and
// what is read is the same.
#[tokio::test]
async fn the_session_ends() {
    let good = pulled(Faults::default(), PASSWORD).await.0.expect("read");
    for at in 1..=4 {
        for silently in [false, true] {
            let faults = Faults {
                end_at: vec![at],
                silently,
                ..Faults::default()
            };
            let (result, state) = pulled(faults, PASSWORD).await;
            let again = result.unwrap_or_else(|error| panic!("call {at}, {silently}: {error}"));
            assert_eq!(again.vms, good.vms, "call {at}, {silently}");
            assert_eq!(state.lock().expect("no panic").logins, 2);
        }
    }
    let faults = Faults {
        end_at: (1..100).collect(),
        ..Faults::default()
    };
    let (result, state) = pulled(faults, PASSWORD).await;
    assert!(
        matches!(result, Err(VsphereError::Fault { .. })),
        "it is not tried for ever"
    );
    assert_eq!(state.lock().expect("no panic").logins, 4);
}

// A token that is no longer valid begins the list anew, but not for ever.
#[tokio::test]
async fn tokens_expire() {
    let (result, _) = pulled(
        Faults {
            bad_tokens: 2,
            ..Faults::default()
        },
        PASSWORD,
    )
    .await;
    assert_eq!(result.expect("read").vms.len(), 3);
    let (result, _) = pulled(
        Faults {
            bad_tokens: 9,
            ..Faults::default()
        },
        PASSWORD,
    )
    .await;
    assert!(
        matches!(result, Err(VsphereError::Fault { fault, .. }) if fault.kind == "InvalidProperty")
    );
}

// A property that this release does not know is left out and said so.
#[tokio::test]
async fn an_unknown_property() {
    let faults = Faults {
        unknown: Some("config.keyId"),
        ..Faults::default()
    };
    let inventory = pulled(faults, PASSWORD).await.0.expect("read");
    assert_eq!(inventory.vms.len(), 3);
    assert_eq!(inventory.about.gaps[0].what, "config.keyId");
}

// A VM that is deleted while we read is not in the snapshot; the others are.
#[tokio::test]
async fn a_vm_is_deleted() {
    let (result, _) = pulled(
        Faults {
            deleted: true,
            ..Faults::default()
        },
        PASSWORD,
    )
    .await;
    let inventory = result.expect("read");
    let ids: Vec<_> = inventory.vms.iter().map(|vm| vm.id.as_str()).collect();
    assert_eq!(ids, ["id-2", "id-3"]);
}

// A wrong password is tried once, and the message names the user but never the password.
#[tokio::test]
async fn a_wrong_password() {
    let (result, state) = pulled(Faults::default(), "hunter2").await;
    let error = result.expect_err("refused");
    assert_eq!(state.lock().expect("no panic").refused_logins, 1);
    assert!(matches!(error, VsphereError::WrongPassword { .. }));
    assert!(error.to_string().contains("as `reader`"));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

// A page from a proxy is quoted, not parsed; XML that breaks off is an error of its own.
#[tokio::test]
async fn other_answers() {
    let page = Some("<html><title>Please log in to the proxy</title></html>");
    let error = pulled(
        Faults {
            page,
            ..Faults::default()
        },
        PASSWORD,
    )
    .await
    .0;
    let error = error.expect_err("no SOAP");
    assert!(
        error.to_string().contains("Please log in to the proxy"),
        "{error}"
    );
    let page = Some("<e:Envelope xmlns:e='x'><e:Body><Response><returnval>");
    let error = pulled(
        Faults {
            page,
            ..Faults::default()
        },
        PASSWORD,
    )
    .await
    .0;
    assert!(matches!(error, Err(VsphereError::Unreadable { .. })));
}
