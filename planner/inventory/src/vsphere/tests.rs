//! A little vCenter over a real socket, for what a real one does only on a bad day.

use std::sync::{Arc, Mutex};

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use schemas::inventory::SourceInventory;

use super::*;
use crate::fake::{self, Given, Leaf};
use crate::http::Untrusted;
use crate::{HttpError, NoProgress};

/// What the server does wrong, each as often as it says.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
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
    /// Tags are told under `/api` only, or (`Some(false)`) not at all.
    api_only: Option<bool>,
    /// This path of the first VM's details is refused, the rest is given.
    denied: Option<&'static str>,
    /// So many answers are 503 first.
    busy: u32,
    /// Questions about rights are refused.
    secretive: bool,
    /// A single host, not a vCenter.
    esxi: bool,
    /// Lists beyond this one are not answered for a minute.
    hangs_at: Option<u32>,
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    sessions: Vec<String>,
    logins: u32,
    lists: u32,
    refused_logins: u32,
    /// Sessions of the REST interface.
    rest: u32,
    /// Everything that was called, in order.
    calls: Vec<String>,
    /// The VMs whose details were asked for.
    detailed: Vec<u32>,
    /// Counts changes of the first VM.
    changes: u32,
}

/// One datacenter `F0/DC0` with three VMs, two to a page.
#[derive(Clone, Debug, Default)]
struct Fake(Arc<Mutex<State>>);

const PASSWORD: &str = "a<b>&\"c' ü";

impl Respond for Fake {
    #[expect(clippy::too_many_lines, reason = "one answer for each call")]
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock().expect("one test, no panic");
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let path = request.url.path();
        if state.faults.busy > 0 {
            state.faults.busy -= 1;
            return ResponseTemplate::new(503).insert_header("retry-after", "0");
        }
        if path.starts_with("/rest/") || path.starts_with("/api/") {
            return rest(&mut state, request.method.as_str(), path, &body);
        }
        if request.method.as_str() == "GET" {
            return ResponseTemplate::new(200).set_body_string(
                "<namespaces><namespace><name>urn:vim25</name><version>9.9</version>\
                 <priorVersions><version>8.0.1.0</version><version>7.0</version></priorVersions>\
                 </namespace></namespaces>",
            );
        }
        let tree = crate::xml::read_flat(&body).expect("we send XML");
        let call = tree
            .root()
            .child("Body")
            .and_then(|body| body.children().next());
        let call = call.expect("an envelope");
        let cookie = request
            .headers
            .get("cookie")
            .and_then(|v| v.to_str().ok())
            .unwrap_or("");
        let cookie = cookie.to_owned();
        state.calls.push(call.name().to_owned());
        match call.name() {
            "RetrieveServiceContent" => {
                let about = if state.faults.esxi {
                    "<fullName>Fake host</fullName><apiType>HostAgent</apiType>"
                } else {
                    "<fullName>Fake 1.0</fullName><apiType>VirtualCenter</apiType>\
                     <instanceUuid>u-1</instanceUuid>"
                };
                ok(&format!(
                    "<returnval><rootFolder type='Folder'>group-d1</rootFolder>\
                     <propertyCollector type='PropertyCollector'>pc</propertyCollector>\
                     <viewManager type='ViewManager'>vm</viewManager><about>{about}</about>\
                     <sessionManager type='SessionManager'>sm</sessionManager>\
                     <authorizationManager type='AuthorizationManager'>am</authorizationManager>\
                     </returnval>"
                ))
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
                ok("<returnval><key>k</key></returnval>")
                    .insert_header("set-cookie", format!("{session}; Path=/"))
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
                let answer = list(&mut state, &body);
                if state.faults.hangs_at.is_some_and(|at| ends >= at) {
                    return answer.set_delay(std::time::Duration::from_mins(1));
                }
                answer
            }
            "HasPrivilegeOnEntities" | "HasUserPrivilegeOnEntities" if state.faults.secretive => {
                fault("NoPermission", "")
            }
            asked @ ("HasPrivilegeOnEntities" | "HasUserPrivilegeOnEntities") => {
                let (name, missing) = match asked {
                    "HasPrivilegeOnEntities" => ("HasPrivilegeOnEntities", "vm-2"),
                    _ => ("HasUserPrivilegeOnEntities", "vm-3"),
                };
                ok_as(
                    name,
                    &format!(
                        "<returnval><entity type='VirtualMachine'>{missing}</entity>\
                         <privAvailability><privId>VApp.Export</privId><isGranted>false</isGranted>\
                         </privAvailability><privAvailability><privId>\
                         VirtualMachine.Interact.PowerOff</privId><isGranted>true</isGranted>\
                         </privAvailability></returnval>"
                    ),
                )
            }
            _ => ok(""),
        }
    }
}

/// The REST interface: one tag on two VMs, and one on nothing.
fn rest(state: &mut State, method: &str, path: &str, body: &str) -> ResponseTemplate {
    state.calls.push(format!("{method} {path}"));
    let is_api = path.starts_with("/api/");
    match (state.faults.api_only, is_api) {
        (Some(true), false) | (Some(false), _) => return ResponseTemplate::new(404),
        _ => {}
    }
    let path = path
        .trim_start_matches("/rest/com/vmware/cis/")
        .trim_start_matches("/api/cis/")
        .trim_start_matches("/api/");
    let value = match (method, path) {
        ("POST", "session") => {
            state.rest += 1;
            serde_json::json!("rest-1")
        }
        ("DELETE", "session") => {
            state.rest -= 1;
            return ResponseTemplate::new(200);
        }
        ("GET", "tagging/tag") => serde_json::json!(["t1", "t2"]),
        ("GET", "tagging/tag/id:t1" | "tagging/tag/t1") => {
            serde_json::json!({"id": "t1", "name": "gold", "category_id": "c1"})
        }
        ("GET", "tagging/tag/id:t2" | "tagging/tag/t2") => {
            serde_json::json!({"id": "t2", "name": "none", "category_id": "c1"})
        }
        ("GET", _) => serde_json::json!({"id": "c1", "name": "Backup"}),
        _ => {
            assert!(body.contains("tag_ids"), "{body}");
            serde_json::json!([
                {"tag_id": "t1", "object_ids": [
                    {"id": "vm-1", "type": "VirtualMachine"},
                    {"id": "vm-3", "type": "VirtualMachine"},
                    {"id": "group-d1", "type": "Folder"},
                ]},
                {"tag_id": "t2", "object_ids": null},
            ])
        }
    };
    ResponseTemplate::new(200).set_body_json(if is_api {
        value
    } else {
        serde_json::json!({ "value": value })
    })
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
        return ok(&format!("<returnval>{}</returnval>", light(3, 0)));
    }
    if body.contains("view-places") {
        return ok(PLACES);
    }
    if body.contains("view-vms") {
        // "0" is a token like any other.
        return ok(&format!(
            "<returnval><token>0</token>{}{}</returnval>",
            light(1, state.changes),
            light(2, 0)
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
    state.detailed.extend(&asked);
    let denied = state.faults.denied;
    let objects: String = asked.into_iter().map(|n| heavy(n, denied)).collect();
    ok(&format!("<returnval>{objects}</returnval>"))
}

const PLACES: &str = "<returnval>\
    <objects><obj type='Folder'>g1</obj><propSet><name>name</name><val>F0</val></propSet></objects>\
    <objects><obj type='Datacenter'>dc1</obj><propSet><name>name</name><val>DC0</val></propSet>\
    <propSet><name>parent</name><val type='Folder'>g1</val></propSet>\
    <propSet><name>vmFolder</name><val type='Folder'>v0</val></propSet></objects>\
    <objects><obj type='Folder'>v0</obj><propSet><name>name</name><val>vm</val></propSet>\
    <propSet><name>parent</name><val type='Datacenter'>dc1</val></propSet></objects>\
    <objects><obj type='HostSystem'>host-1</obj><propSet><name>name</name><val>esx1</val></propSet>\
    <propSet><name>summary.hardware.uuid</name><val>hardware-1</val></propSet></objects>\
    <objects><obj type='DistributedVirtualPortgroup'>dvportgroup-7</obj>\
    <propSet><name>name</name><val>prod</val></propSet></objects>\
    <objects><obj type='DistributedVirtualPortgroup'>dvportgroup-8</obj>\
    <propSet><name>name</name><val>prod</val></propSet></objects></returnval>";

fn light(n: u32, changes: u32) -> String {
    format!(
        "<objects><obj type='VirtualMachine'>vm-{n}</obj>\
         <propSet><name>name</name><val>web%2f{n}</val></propSet>\
         <propSet><name>parent</name><val type='Folder'>v0</val></propSet>\
         <propSet><name>rootSnapshot</name></propSet>\
         <propSet><name>config.changeVersion</name><val>{changes}</val></propSet>\
         <propSet><name>runtime.powerState</name><val>poweredOn</val></propSet></objects>"
    )
}

fn heavy(n: u32, denied: Option<&str>) -> String {
    let missing = denied.filter(|_| n == 1).map(|path| {
        format!(
            "<missingSet><path>{path}</path><fault><fault xsi:type='NoPermission'/></fault>\
             </missingSet>"
        )
    });
    let missing = missing.unwrap_or_default();
    format!(
        "<objects><obj type='VirtualMachine'>vm-{n}</obj>\
         <propSet><name>summary.config</name><val><instanceUuid>id-{n}</instanceUuid>\
         <annotation>one&#xA;two &amp; three</annotation></val></propSet>\
         <propSet><name>config.memoryAllocation</name><val><reservation>0</reservation>\
         <limit>-1</limit></val></propSet>\
         <propSet><name>config.cpuAllocation</name><val><reservation>500</reservation>\
         <limit>2000</limit></val></propSet>\
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
         </val></propSet>{missing}</objects>"
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
    ok_as("", body)
}

fn ok_as(name: &str, body: &str) -> ResponseTemplate {
    let body = format!("<{name}Response>{body}</{name}Response>");
    ResponseTemplate::new(200).set_body_string(envelope(&body))
}

fn fault(kind: &str, detail: &str) -> ResponseTemplate {
    let fault = format!(
        "<s:Fault><faultstring>no</faultstring><detail><f xsi:type=\"{kind}\">{detail}</f></detail>\
         </s:Fault>"
    );
    ResponseTemplate::new(500).set_body_string(envelope(&fault))
}

/// What a test may change of a pull.
struct Pull<'a> {
    password: &'a str,
    access: Access<'a>,
    /// Ctrl-C comes as soon as this many lists were asked for.
    stop_at: Option<u32>,
    /// TLS stands before the server.
    tls: Option<(Leaf, Given)>,
}

impl Default for Pull<'_> {
    fn default() -> Self {
        Self {
            password: PASSWORD,
            access: Access::default(),
            stop_at: None,
            tls: None,
        }
    }
}

/// Pulls `F0/DC0` of a server with these faults; gives the result and the server's state.
async fn pulled(
    faults: Faults,
    password: &str,
) -> (Result<SourceInventory, VsphereError>, Arc<Mutex<State>>) {
    let fake = Fake(Arc::new(Mutex::new(State {
        faults,
        ..State::default()
    })));
    let how = Pull {
        password,
        ..Pull::default()
    };
    let result = pulled_from(&fake, how).await;
    (result, fake.0)
}

/// The same from a server that is there. Whatever happens, no session stays open.
async fn pulled_from(fake: &Fake, how: Pull<'_>) -> Result<SourceInventory, VsphereError> {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(fake.clone())
        .mount(&server)
        .await;
    let (url, keys) = match how.tls {
        Some((leaf, given)) => {
            let front = fake::tls(*server.address(), leaf).await;
            let keys = front.keys(given, CA_KEY);
            (front.url, keys)
        }
        None => (server.uri(), Vec::new()),
    };
    let place = VmwareSource {
        endpoint: format!("{url}/sdk"),
        datacenter: "/F0/DC0".to_owned(),
    };
    let account = [
        ("username", "reader".to_owned()),
        ("password", how.password.to_owned()),
    ];
    let credentials: Credentials = account.into_iter().chain(keys).collect();
    let http = Http::new(Trust::new(Some(&credentials), CA_KEY), "test")
        .expect("a client")
        .impatient();
    let name = SourceName::from("vc");
    let stop = async {
        while how
            .stop_at
            .is_none_or(|at| fake.0.lock().expect("no panic").lists < at)
        {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        Stopped::Interrupted
    };
    let (access, told) = (how.access, &NoProgress);
    let result = pull_through(&http, &name, &place, &credentials, access, told, stop).await;
    let state = fake.0.lock().expect("no panic");
    assert!(state.sessions.is_empty(), "left open: {:?}", state.sessions);
    assert_eq!(state.rest, 0, "REST sessions are left open");
    result.map(|pulled| pulled.whole().expect("what this version keeps"))
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
    assert_eq!(
        (vm.cpu_reservation_mhz, vm.cpu_limit_mhz),
        (Some(500), Some(2000))
    );
    assert_eq!(
        (vm.memory_reservation_mib, vm.memory_limit_mib),
        (None, None)
    );
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

// Asked for no more once it is known to be unknown, in whatever batch.
#[tokio::test]
async fn an_unknown_property_is_learnt_once() {
    let faults = Faults {
        unknown: Some("config.keyId"),
        ..Faults::default()
    };
    let (result, state) = pulled(faults, PASSWORD).await;
    let lists = state.lock().expect("no panic").lists;
    assert_eq!(result.expect("read").about.gaps.len(), 1);
    // Places, two pages of VMs, details refused and given.
    assert_eq!(lists, 5);
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

// Tags come from either flavour of REST; where there is none, that is a gap and no more.
#[tokio::test]
async fn tags_in_both_flavours() {
    for api_only in [None, Some(true)] {
        let faults = Faults {
            api_only,
            ..Faults::default()
        };
        let inventory = pulled(faults, PASSWORD).await.0.expect("read");
        let tags: Vec<_> = inventory.vms.iter().map(|vm| vm.tags.join(",")).collect();
        assert_eq!(tags, ["Backup/gold", "", "Backup/gold"], "{api_only:?}");
        assert!(inventory.about.gaps.is_empty());
    }
    let faults = Faults {
        api_only: Some(false),
        ..Faults::default()
    };
    let (result, state) = pulled(faults, PASSWORD).await;
    let gaps = result.expect("read").about.gaps;
    assert_eq!((gaps.len(), gaps[0].what.as_str()), (1, "tags"));
    let state = state.lock().expect("no panic");
    let logins = state.calls.iter().filter(|call| call.starts_with("POST"));
    assert_eq!(logins.count(), 2, "each flavour is tried once");
}

// The rights asked for are those of the engine's account, be it ours or another.
#[tokio::test]
async fn rights_of_the_engine() {
    let missing = |inventory: &SourceInventory| -> Vec<(String, Vec<String>)> {
        let vms = inventory.vms.iter();
        vms.filter(|vm| !vm.missing_privileges.is_empty())
            .map(|vm| (vm.id.to_string(), vm.missing_privileges.clone()))
            .collect()
    };
    let export = vec!["VApp.Export".to_owned()];
    for (importer, lacking, user) in [
        (None, "id-2", "reader"),
        (Some("reader"), "id-2", "reader"),
        (Some("engine"), "id-3", "engine"),
    ] {
        let how = Pull {
            access: Access {
                importer,
                ..Access::default()
            },
            ..Pull::default()
        };
        let inventory = pulled_from(&Fake::default(), how).await.expect("read");
        assert_eq!(missing(&inventory), [(lacking.to_owned(), export.clone())]);
        assert_eq!(inventory.about.importer.as_deref(), Some(user));
    }
    let faults = Faults {
        secretive: true,
        ..Faults::default()
    };
    let inventory = pulled(faults, PASSWORD).await.0.expect("read");
    assert_eq!(inventory.about.importer, None);
    assert_eq!(inventory.about.gaps[0].what, "privileges");
}

// A second datacenter of one vCenter costs its own lists only: places, attributes and tags are known,
// and so are their gaps. Another account sees for itself.
#[tokio::test]
async fn what_datacenters_share_is_read_once() {
    let fake = Fake::default();
    fake.0.lock().expect("no panic").faults.api_only = Some(false);
    let vcenters = Vcenters::default();
    let pull = async || {
        let how = Pull {
            access: Access {
                vcenters: Some(&vcenters),
                ..Access::default()
            },
            ..Pull::default()
        };
        fake.0.lock().expect("no panic").calls.clear();
        let inventory = pulled_from(&fake, how).await.expect("read");
        let calls = fake.0.lock().expect("no panic").calls.clone();
        let views = calls
            .iter()
            .filter(|call| *call == "CreateContainerView")
            .count();
        let rest = calls.iter().filter(|call| call.contains('/')).count();
        (inventory, views, rest)
    };
    let (first, views, rest) = pull().await;
    assert_eq!((views, first.about.gaps[0].what.as_str()), (2, "tags"));
    assert!(rest > 0, "tags were asked for");
    let (mut second, views, rest) = pull().await;
    assert_eq!((views, rest), (1, 0));
    // Each pull has a server of its own before the fake, at a port of its own.
    second.about.endpoint.clone_from(&first.about.endpoint);
    assert_eq!(first, second);
}

// With a cache, details are read again of a VM that has changed, and of no other; the result is
// the same as without.
#[tokio::test]
async fn only_what_has_changed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cache = camino::Utf8Path::from_path(folder.path());
    let fake = Fake::default();
    let pull = || async {
        let how = Pull {
            access: Access {
                cache,
                ..Access::default()
            },
            ..Pull::default()
        };
        let inventory = pulled_from(&fake, how).await.expect("read");
        let detailed = std::mem::take(&mut fake.0.lock().expect("no panic").detailed);
        (inventory, detailed)
    };
    let (mut first, detailed) = pull().await;
    assert_eq!(detailed, [1, 2, 3]);
    // The port of each fake server is another; whose the cache is goes by what a server says.
    let (second, detailed) = pull().await;
    first.about.endpoint.clone_from(&second.about.endpoint);
    assert_eq!((&second, detailed), (&first, vec![]));
    fake.0.lock().expect("no panic").changes = 1;
    let (third, detailed) = pull().await;
    assert_eq!(detailed, [1]);
    assert_eq!(third.vms, first.vms);
    // What is no property of the VM is not taken from the cache.
    assert_eq!(third.vms[1].missing_privileges, ["VApp.Export"]);
    fake.0.lock().expect("no panic").faults.secretive = true;
    let (fourth, detailed) = pull().await;
    assert_eq!(
        (detailed, fourth.vms[1].missing_privileges.len()),
        (vec![], 0)
    );
    assert_eq!(fourth.vms[2], third.vms[2]);
    fake.0.lock().expect("no panic").faults.secretive = false;
    assert_eq!(pull().await.0.vms, first.vms);
}

// A path that this account may not see is a gap of that VM; the VM stays, and is read in full the
// next time.
#[tokio::test]
async fn a_denied_property() {
    let faults = Faults {
        denied: Some("layoutEx"),
        ..Faults::default()
    };
    let inventory = pulled(faults, PASSWORD).await.0.expect("read");
    let gap = &inventory.vms[0].gaps[0];
    assert_eq!(
        (gap.what.as_str(), gap.reason.as_str()),
        ("layoutEx", "NoPermission")
    );
    assert!(inventory.vms[1].gaps.is_empty());
}

// A busy server is asked again.
#[tokio::test]
async fn a_busy_server() {
    let faults = Faults {
        busy: 1,
        ..Faults::default()
    };
    let inventory = pulled(faults, PASSWORD).await.0.expect("read");
    assert_eq!(inventory.vms.len(), 3);
}

// A single host has neither tags nor an instance UUID of its own: its hardware's stands for it.
#[tokio::test]
async fn an_esxi_host() {
    let faults = Faults {
        esxi: true,
        ..Faults::default()
    };
    let (result, state) = pulled(faults, PASSWORD).await;
    let inventory = result.expect("read");
    assert_eq!(inventory.about.instance.as_deref(), Some("hardware-1"));
    assert_eq!((inventory.vms.len(), inventory.about.gaps.len()), (3, 0));
    let state = state.lock().expect("no panic");
    assert!(!state.calls.iter().any(|call| call.contains("/rest/")));
}

// Ctrl-C during any list ends the pull at once, and the session with it, though the server would
// have hung.
#[tokio::test]
async fn interrupted() {
    for at in 1..=4 {
        let fake = Fake::default();
        fake.0.lock().expect("no panic").faults.hangs_at = Some(at);
        let how = Pull {
            stop_at: Some(at),
            ..Pull::default()
        };
        let began = std::time::Instant::now();
        let result = pulled_from(&fake, how).await;
        assert!(
            matches!(result, Err(VsphereError::Stopped(Stopped::Interrupted))),
            "list {at}: {result:?}"
        );
        assert!(began.elapsed() < std::time::Duration::from_secs(30));
        let state = fake.0.lock().expect("no panic");
        assert_eq!(state.calls.last().map(String::as_str), Some("Logout"));
    }
}

// Nothing is ever called but what reads, logs in and logs out.
#[tokio::test]
async fn only_reads() {
    const READS: [&str; 9] = [
        "RetrieveServiceContent",
        "Login",
        "CreateContainerView",
        "RetrievePropertiesEx",
        "ContinueRetrievePropertiesEx",
        "DestroyView",
        "HasPrivilegeOnEntities",
        "HasUserPrivilegeOnEntities",
        "Logout",
    ];
    let (_, state) = pulled(Faults::default(), PASSWORD).await;
    let state = state.lock().expect("no panic");
    let rest = |call: &str| {
        call.starts_with("GET /rest/")
            || call.ends_with(" /rest/com/vmware/cis/session")
            || call == "POST /rest/com/vmware/cis/tagging/tag-association"
    };
    for call in &state.calls {
        assert!(READS.contains(&call.as_str()) || rest(call), "{call}");
    }
}

// Over TLS: read with the authority of the Secret, or unchecked where that is asked for and then
// written down; else refused, with the reason and the three ways out, before any password is sent.
#[tokio::test]
async fn certificates() {
    for (given, mode) in [(Given::Authority, "ca"), (Given::Insecure, "insecure")] {
        let how = Pull {
            tls: Some((Leaf::Good, given)),
            ..Pull::default()
        };
        let inventory = pulled_from(&Fake::default(), how).await.expect("read");
        assert_eq!(
            (inventory.about.tls.as_str(), inventory.vms.len()),
            (mode, 3)
        );
    }
    for (leaf, given, expected) in [
        (Leaf::Good, Given::Nothing, Untrusted::UnknownIssuer),
        (Leaf::OtherName, Given::Authority, Untrusted::OtherName),
        (Leaf::Expired, Given::Authority, Untrusted::NotValidNow),
    ] {
        let fake = Fake::default();
        let how = Pull {
            tls: Some((leaf, given)),
            ..Pull::default()
        };
        let error = pulled_from(&fake, how).await.expect_err("not trusted");
        let VsphereError::Http(HttpError::Certificate { reason, .. }) = &error else {
            panic!("{error:?}");
        };
        assert_eq!(*reason, expected);
        let hint = error.hint().expect("ways out");
        assert!(hint.starts_with("there are three ways out: "), "{hint}");
        assert!(hint.contains(CA_KEY) && hint.contains("insecure"), "{hint}");
        assert_eq!(fake.0.lock().expect("no panic").calls.len(), 0);
    }
}
