//! The OVF descriptor: what machine an archive holds.
//!
//! Takes the descriptor's text and gives a [`Descriptor`], read the way the engine reads it: the
//! one `VirtualSystem`, its `Item`s in order, each disk through its `HostResource`. What the
//! engine would stumble over is kept as a fact; judging it is the planner's business.

use std::collections::BTreeMap;

use schemas::inventory::{Disk, GuestOs, Nic};
use schemas::units::{Bytes, MIB};

use crate::xml::{self, Node, XmlError};

/// `rasd:ResourceType` of what we look at, from CIM.
mod kind {
    pub(super) const PROCESSOR: &str = "3";
    pub(super) const MEMORY: &str = "4";
    pub(super) const NIC: &str = "10";
    pub(super) const DISK: &str = "17";
}

/// What a descriptor says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// How many machines it describes; the engine takes only a single one (A04).
    pub(crate) virtual_systems: u32,
    /// Networks that it names, in order.
    pub(crate) networks: Vec<String>,
    /// Notes.
    pub(crate) description: Option<String>,
    /// Virtual CPUs.
    pub(crate) vcpus: Option<u32>,
    /// Memory in MiB.
    pub(crate) memory_mib: Option<u64>,
    /// `bios` or `efi`.
    pub(crate) firmware: Option<String>,
    /// Secure boot.
    pub(crate) secure_boot: Option<bool>,
    /// Has a virtual TPM.
    pub(crate) tpm: Option<bool>,
    /// Guest operating system.
    pub(crate) guest_os: Option<GuestOs>,
    /// Virtual hardware version.
    pub(crate) hw_version: Option<String>,
    /// Disks with a file, in the order of their items.
    pub(crate) disks: Vec<Disk>,
    /// Bytes that a disk's file holds when unpacked, by disk key, where the descriptor says so.
    pub(crate) populated: BTreeMap<String, Bytes>,
    /// Disks without a file (A05).
    pub(crate) blank_disks: Vec<String>,
    /// Disk items that name no disk or file of the descriptor: the engine passes over them.
    pub(crate) lost_disks: Vec<String>,
    /// Items that lack what the engine takes for granted (A06, A07).
    pub(crate) incomplete_items: Vec<String>,
    /// Network interfaces, in the order of their items.
    pub(crate) nics: Vec<Nic>,
}

impl Descriptor {
    /// Reads a descriptor.
    pub(crate) fn parse(text: &str) -> Result<Self, XmlError> {
        let envelope = xml::read(text)?;
        let mut descriptor = Self {
            virtual_systems: count_systems(&envelope),
            networks: envelope
                .all("NetworkSection")
                .flat_map(|section| section.all("Network"))
                .filter_map(|network| network.attribute("name"))
                .map(str::to_owned)
                .collect(),
            ..Self::default()
        };
        if let Some(system) = envelope.child("VirtualSystem") {
            descriptor.take_system(&envelope, system);
        }
        Ok(descriptor)
    }

    fn take_system(&mut self, envelope: &Node, system: &Node) {
        let annotation = system
            .child("AnnotationSection")
            .and_then(|s| s.text_of("Annotation"));
        self.description = annotation.map(str::to_owned);
        self.guest_os = system.child("OperatingSystemSection").and_then(|section| {
            let id = section
                .attribute("osType")
                .or_else(|| section.attribute("id"))?;
            Some(GuestOs {
                id: Some(id.to_owned()),
                family: None,
                ..GuestOs::default()
            })
        });
        self.firmware = Some("bios".to_owned());
        for hardware in system.all("VirtualHardwareSection") {
            let version = hardware
                .child("System")
                .and_then(|s| s.text_of("VirtualSystemType"));
            self.hw_version = version.map(str::to_owned);
            for item in hardware.all("Item").chain(hardware.all("StorageItem")) {
                self.take_item(envelope, hardware, item);
            }
            // After the items, as their words count more.
            for config in hardware.all("Config") {
                self.take_config(config);
            }
        }
    }

    fn take_config(&mut self, config: &Node) {
        let value = config.attribute("value").unwrap_or_default();
        match config.attribute("key") {
            Some("firmware") if value.eq_ignore_ascii_case("efi") => {
                self.firmware = Some("efi".to_owned());
            }
            Some("bootOptions.efiSecureBootEnabled") => self.secure_boot = Some(is_true(value)),
            Some("tpm.present" | "tpm20.enabled") => self.tpm = Some(is_true(value)),
            _ => {}
        }
    }

    fn take_item(&mut self, envelope: &Node, hardware: &Node, item: &Node) {
        let id = item.text_of("InstanceID").unwrap_or("?");
        let quantity = item.value::<u64>("VirtualQuantity");
        if item.text_of("ResourceSubType") == Some("vmware.vtpm") {
            self.tpm = Some(true);
        }
        match item.text_of("ResourceType") {
            Some(kind::PROCESSOR | kind::MEMORY) if quantity.is_none() => {
                self.incomplete_items.push(format!("{id}: VirtualQuantity"));
            }
            Some(kind::PROCESSOR) => self.vcpus = quantity.and_then(|n| n.try_into().ok()),
            Some(kind::MEMORY) => {
                let unit = unit(item.text_of("AllocationUnits"));
                self.memory_mib = quantity.map(|quantity| quantity.saturating_mul(unit) / MIB);
            }
            Some(kind::NIC) => {
                let network = item.text_of("Connection").map(str::to_owned);
                if network.is_none() {
                    self.incomplete_items.push(format!("{id}: Connection"));
                }
                self.nics.push(Nic {
                    key: self.nics.len().to_string(),
                    model: item.text_of("ResourceSubType").map(str::to_owned),
                    mac: item.text_of("Address").map(str::to_lowercase),
                    network: network.clone(),
                    network_name: network,
                    ..Nic::default()
                });
            }
            Some(kind::DISK) => match item.text_of("HostResource") {
                Some(resource) => self.take_disk(envelope, hardware, item, resource),
                None => self.incomplete_items.push(format!("{id}: HostResource")),
            },
            _ => {}
        }
    }

    /// A disk drive; `resource` is `ovf:/disk/ID`.
    fn take_disk(&mut self, envelope: &Node, hardware: &Node, item: &Node, resource: &str) {
        let disk_id = resource.rsplit('/').next().unwrap_or_default();
        let mut disks = envelope
            .all("DiskSection")
            .flat_map(|section| section.all("Disk"));
        let Some(disk) = disks.find(|disk| disk.attribute("diskId") == Some(disk_id)) else {
            self.lost_disks
                .push(format!("{resource}: the descriptor has no such disk"));
            return;
        };
        let Some(file_ref) = disk.attribute("fileRef") else {
            self.blank_disks.push(disk_id.to_owned());
            return;
        };
        let mut files = envelope
            .all("References")
            .flat_map(|references| references.all("File"));
        let Some(file) = files.find(|file| file.attribute("id") == Some(file_ref)) else {
            self.lost_disks.push(format!(
                "{resource}: the descriptor has no file `{file_ref}`"
            ));
            return;
        };
        let href = file.attribute("href").unwrap_or_default().to_owned();
        let parent = item.text_of("Parent");
        let controller = hardware
            .all("Item")
            .find(|one| parent.is_some() && one.text_of("InstanceID") == parent)
            .and_then(|one| one.text_of("ResourceSubType"));
        let number = |node: &Node, name| node.attribute(name).and_then(|text| text.parse().ok());
        let capacity: u64 = number(disk, "capacity").unwrap_or_default();
        if let Some(populated) = number(disk, "populatedSize") {
            self.populated.insert(href.clone(), Bytes(populated));
        }
        self.disks.push(Disk {
            controller: controller.map(str::to_owned),
            unit: item.value("AddressOnParent"),
            capacity_bytes: Bytes(
                capacity.saturating_mul(unit(disk.attribute("capacityAllocationUnits"))),
            ),
            backing: Some(backing(disk, file)),
            file: Some(href.clone()),
            file_bytes: number(file, "size").map(Bytes),
            key: href,
            ..Disk::default()
        });
    }
}

/// Machines in the descriptor: one at its top, or those of a collection, however nested.
fn count_systems(envelope: &Node) -> u32 {
    let mut count = 0;
    let mut open = vec![envelope];
    while let Some(node) = open.pop() {
        for child in &node.children {
            match child.name.as_str() {
                "VirtualSystem" => count += 1,
                "VirtualSystemCollection" => open.push(child),
                _ => {}
            }
        }
    }
    count
}

/// `vmdk`, with what stands in the engine's way: it unpacks no gzip and joins no chunks (A08).
fn backing(disk: &Node, file: &Node) -> String {
    let format = disk.attribute("format").unwrap_or_default();
    let is_vmdk = format.is_empty() || format.to_ascii_lowercase().contains("vmdk");
    let mut backing = if is_vmdk {
        "vmdk".to_owned()
    } else {
        format.to_owned()
    };
    if let Some(packed) = file
        .attribute("compression")
        .filter(|packed| *packed != "identity")
    {
        backing.push('+');
        backing.push_str(packed);
    }
    if file.attribute("chunkSize").is_some() {
        backing.push_str("+chunks");
    }
    backing
}

/// Bytes in an allocation unit: `byte * 2^20`, `byte * 1024` or `MegaBytes`; anything else counts
/// as bytes, as it does for the engine.
fn unit(text: Option<&str>) -> u64 {
    let words: Vec<&str> = text.unwrap_or_default().split_whitespace().collect();
    match words[..] {
        ["byte", "*", factor] => match factor.split_once('^') {
            Some((base, power)) => {
                let power = base.parse::<u64>().ok().zip(power.parse().ok());
                power
                    .and_then(|(base, power)| base.checked_pow(power))
                    .unwrap_or(1)
            }
            None => factor.parse().unwrap_or(1),
        },
        [word] => match word.to_ascii_lowercase().as_str() {
            "kb" | "kilobytes" => 1 << 10,
            "mb" | "megabytes" => 1 << 20,
            "gb" | "gigabytes" => 1 << 30,
            "tb" | "terabytes" => 1 << 40,
            _ => 1,
        },
        _ => 1,
    }
}

/// Whether the engine takes a value for true.
fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

/// The digests of a manifest's lines by file name, in lower case: `SHA256(disk.vmdk)= 12ab…`. Only
/// lines that the engine reads: it passes over names with a parenthesis.
pub(crate) fn manifest_digests(text: &str) -> BTreeMap<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let lines = text.lines().filter_map(|line| {
        let (digest, rest) = line.trim().split_once('(')?;
        let (name, sum) = rest.split_once(')')?;
        let sum = sum.trim_start().strip_prefix('=')?.trim_start();
        let is_read = !name.is_empty()
            && !digest.is_empty()
            && digest.chars().all(is_word)
            && !sum.is_empty()
            && sum.chars().all(|c| c.is_ascii_hexdigit());
        is_read.then(|| (name.to_owned(), digest.to_ascii_lowercase()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(disks: &str, items: &str) -> String {
        format!(
            r#"<?xml version="1.0"?><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1"
            xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="urn:rasd"
            xmlns:vmw="http://www.vmware.com/schema/ovf"><References>
            <File ovf:id="f1" ovf:href="a-disk1.vmdk" ovf:size="77"/></References>
            <DiskSection>{disks}</DiskSection>
            <NetworkSection><Network ovf:name="prod &amp; test"/></NetworkSection>
            <VirtualSystem ovf:id="a"><OperatingSystemSection ovf:id="101" vmw:osType="ubuntu64Guest"/>
            <VirtualHardwareSection>{items}<vmw:Config vmw:key="firmware" vmw:value="EFI"/>
            </VirtualHardwareSection></VirtualSystem></Envelope>"#
        )
    }

    fn item(fields: &[(&str, &str)]) -> String {
        let fields = fields
            .iter()
            .map(|(k, v)| format!("<rasd:{k}>{v}</rasd:{k}>"));
        format!("<Item>{}</Item>", fields.collect::<Vec<_>>().concat())
    }

    /// A plain machine: everything the plan needs of it.
    #[test]
    fn a_plain_machine() {
        let disk = r#"<Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="20" ovf:populatedSize="99"
            ovf:capacityAllocationUnits="byte * 2^30"
            ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>"#;
        let items = [
            item(&[
                ("InstanceID", "1"),
                ("ResourceType", "3"),
                ("VirtualQuantity", "2"),
            ]),
            item(&[
                ("AllocationUnits", "MegaBytes"),
                ("InstanceID", "2"),
                ("ResourceType", "4"),
                ("VirtualQuantity", "2048"),
            ]),
            item(&[
                ("InstanceID", "3"),
                ("ResourceSubType", "VirtualSCSI"),
                ("ResourceType", "6"),
            ]),
            item(&[
                ("AddressOnParent", "0"),
                ("HostResource", "ovf:/disk/d1"),
                ("InstanceID", "4"),
                ("Parent", "3"),
                ("ResourceType", "17"),
            ]),
            item(&[
                ("Address", "00:50:56:AA:BB:CC"),
                ("Connection", "prod &amp; test"),
                ("InstanceID", "5"),
                ("ResourceSubType", "VmxNet3"),
                ("ResourceType", "10"),
            ]),
        ];
        let found = Descriptor::parse(&envelope(disk, &items.concat())).expect("well-formed");
        assert_eq!((found.vcpus, found.memory_mib), (Some(2), Some(2048)));
        assert_eq!(found.firmware.as_deref(), Some("efi"));
        assert_eq!(found.virtual_systems, 1);
        let disk = &found.disks[0];
        assert_eq!(
            (disk.key.as_str(), disk.capacity_bytes),
            ("a-disk1.vmdk", Bytes(20 << 30))
        );
        assert_eq!(disk.controller.as_deref(), Some("VirtualSCSI"));
        assert_eq!(
            (disk.backing.as_deref(), disk.file_bytes),
            (Some("vmdk"), Some(Bytes(77)))
        );
        assert_eq!(found.populated["a-disk1.vmdk"], Bytes(99));
        let nic = &found.nics[0];
        assert_eq!(nic.network_name.as_deref(), Some("prod & test"));
        assert_eq!(nic.mac.as_deref(), Some("00:50:56:aa:bb:cc"));
        assert_eq!(found.networks, ["prod & test"]);
        assert_eq!(
            found.guest_os.and_then(|os| os.id).as_deref(),
            Some("ubuntu64Guest")
        );
        assert!(found.blank_disks.is_empty() && found.incomplete_items.is_empty());
    }

    /// What makes the engine crash is found, not stumbled over (A05, A06, A07).
    #[test]
    fn what_the_engine_stumbles_over() {
        let disk = r#"<Disk ovf:diskId="d1" ovf:capacity="20"/>"#;
        let items = [
            item(&[("InstanceID", "1"), ("ResourceType", "3")]),
            item(&[("InstanceID", "4"), ("ResourceType", "17")]),
            item(&[("InstanceID", "5"), ("ResourceType", "10")]),
            item(&[
                ("HostResource", "/disk/d1"),
                ("InstanceID", "6"),
                ("ResourceType", "17"),
            ]),
        ];
        let found = Descriptor::parse(&envelope(disk, &items.concat())).expect("well-formed");
        assert_eq!(found.blank_disks, ["d1"]);
        let incomplete = ["1: VirtualQuantity", "4: HostResource", "5: Connection"];
        assert_eq!(found.incomplete_items, incomplete);
        assert!(found.disks.is_empty());
    }

    /// Several machines in one archive are counted, not mixed up (A04).
    #[test]
    fn a_collection() {
        let text = "<Envelope><VirtualSystemCollection><VirtualSystem/><VirtualSystemCollection>\
                    <VirtualSystem/></VirtualSystemCollection></VirtualSystemCollection></Envelope>";
        let found = Descriptor::parse(text).expect("well-formed");
        assert_eq!(found.virtual_systems, 2);
        assert_eq!(found.firmware, None);
    }

    /// Manifests come with and without blanks; a name with a parenthesis has no line that the engine
    /// reads, nor has one whose sum is none.
    #[test]
    fn manifest_lines() {
        let text = "SHA256(a.ovf)= 12ab\nSHA1(b.vmdk) = 34CD\r\nSHA1(a (1).vmdk)= 34cd\n\n\
                    SHA1(c.vmdk)= xyz\nSHA1(d.vmdk)=\nnot a line\n";
        let digests = manifest_digests(text);
        let found: Vec<_> = digests
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(found, [("a.ovf", "sha256"), ("b.vmdk", "sha1")]);
    }
}
