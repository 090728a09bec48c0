// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which frames are taken from the kernel: an XDP program of eBPF (RFC 9669), assembled here.
//!
//! Ours are the frames for our hardware address, if that is not the interface's own as well; those for one of our IP addresses;
//! and, since they ask for such an address, requests of ARP (RFC 826) and neighbour solicitations (RFC 4861). All
//! others are passed to the kernel as if nothing were there: what is for groups is for its sockets, too, and we are given a
//! copy by a packet socket.
//!
//! What must always hold: nothing is read beyond the frame's end, and what is not understood is passed on.

/// `struct bpf_insn` of `linux/bpf.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u8,
    /// The register that is written, and the one that is read, in four bits each.
    pub registers: u8,
    pub offset: i16,
    pub immediate: i32,
}

// RFC 9669, section 3 to 5: class, source, operation; sizes and modes of loads.
const MOVE: u8 = 0xb7;
const MOVE_REGISTER: u8 = 0xbf;
const ADD: u8 = 0x07;
const AND: u8 = 0x57;
const LOAD_WORD: u8 = 0x61;
const LOAD_HALF: u8 = 0x69;
const LOAD_BYTE: u8 = 0x71;
const LOAD_WIDE: u8 = 0x18;
const STORE_WORD: u8 = 0x63;
const STORE_WORD_VALUE: u8 = 0x62;
const STORE_DOUBLE_VALUE: u8 = 0x7a;
const IF_EQUAL: u8 = 0x15;
const IF_NOT_EQUAL: u8 = 0x55;
const IF_ABOVE_REGISTER: u8 = 0x2d;
const ALWAYS: u8 = 0x05;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

/// `BPF_PSEUDO_MAP_FD`: the value of a wide load is a map's descriptor.
const MAP: u8 = 1;
/// Functions of the kernel: `bpf_map_lookup_elem`, `bpf_redirect_map`.
const LOOK_UP: i32 = 1;
const REDIRECT_MAP: i32 = 51;
/// `XDP_PASS` of `enum xdp_action`.
const PASS: i32 = 2;
/// Where `struct xdp_md` has the frame's begin and end, and the queue.
const DATA: i16 = 0;
const DATA_END: i16 = 4;
const QUEUE: i16 = 16;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const ICMPV6: i32 = 58;
/// RFC 4861 section 4.3.
const NEIGHBOUR_SOLICITATION: i32 = 135;
/// The first byte of an IPv6 address of a group (RFC 4291 section 2.7).
const GROUP: i32 = 0xff;
/// In front of an IPv4 address in a key: RFC 4291 section 2.5.5.2.
const MAPPED: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes of a key of the map of addresses: an IPv6 address, or an IPv4 one in its form.
pub const KEY: usize = 16;
/// So far below the stack's end it is.
const KEY_BELOW: i16 = 16;
/// Bytes of a register of a VLAN's number (IEEE 802.1Q).
const VLAN_MASK: u16 = 0x0fff;

/// What is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Our hardware address, if the kernel has another one.
    pub address: Option<[u8; 6]>,
    /// Of which VLAN our IP addresses are; `None`: of frames without a tag.
    pub vlan: Option<u16>,
    /// All is ours.
    pub everything: bool,
}

/// Where a jump leads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Label {
    NotByAddress,
    V4,
    Arp,
    Group,
    Mapped,
    LookUp,
    Redirect,
    Pass,
}

/// Instructions, and jumps that are still open.
#[derive(Default)]
struct Assembler {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction { code, registers: from << 4 | to, offset, immediate });
    }

    fn jump(&mut self, code: u8, to: u8, from: u8, immediate: i32, label: Label) {
        self.jumps.push((self.code.len(), label));
        self.put(code, to, from, 0, immediate);
    }

    /// Goes on at the label unless the register has this value; passed on if `label` says so.
    fn unless(&mut self, register: u8, value: i32, label: Label) {
        self.jump(IF_NOT_EQUAL, register, 0, value, label);
    }

    /// The label is here: all jumps to it lead forward.
    fn here(&mut self, label: Label) {
        let at = self.code.len();
        for &(from, _) in self.jumps.iter().filter(|(_, open)| *open == label) {
            // The program is far shorter than that.
            self.code[from].offset = i16::try_from(at - from - 1).unwrap_or(i16::MAX);
        }
        self.jumps.retain(|(_, open)| *open != label);
    }

    /// Passed on unless the frame has so many bytes.
    fn needs(&mut self, len: i32) {
        self.put(MOVE_REGISTER, 4, 2, 0, 0);
        self.put(ADD, 4, 0, 0, len);
        self.jump(IF_ABOVE_REGISTER, 4, 3, 0, Label::Pass);
    }

    /// Into the key: what stands here in the frame.
    fn key(&mut self, at: i16) {
        for word in 0..4 {
            self.put(LOAD_WORD, 5, 2, at + 4 * word, 0);
            self.put(STORE_WORD, 10, 5, 4 * word - KEY_BELOW, 0);
        }
    }

    fn map(&mut self, register: u8, descriptor: i32) {
        self.put(LOAD_WIDE, register, MAP, 0, descriptor);
        self.put(0, 0, 0, 0, 0);
    }
}

/// A number of the frame as a register has it that loaded it.
fn loaded(value: u16) -> i32 {
    i32::from(u16::from_ne_bytes(value.to_be_bytes()))
}

/// The program, for a map of sockets by queue, and one of our addresses.
pub fn program(filter: &Filter, sockets: i32, addresses: i32) -> Vec<Instruction> {
    let mut a = Assembler::default();
    // 6: what the program is given; 2, 3: the frame's begin and end. 4, 5 are for what is at hand.
    a.put(MOVE_REGISTER, 6, 1, 0, 0);
    if !filter.everything {
        by_address(&mut a, filter);
        by_ip(&mut a, filter, addresses);
        a.here(Label::Redirect);
    }
    a.map(1, sockets);
    a.put(LOAD_WORD, 2, 6, QUEUE, 0);
    // A queue without a socket.
    a.put(MOVE, 3, 0, 0, PASS);
    a.put(CALL, 0, 0, 0, REDIRECT_MAP);
    a.put(EXIT, 0, 0, 0, 0);
    if !filter.everything {
        a.here(Label::Pass);
        a.put(MOVE, 0, 0, 0, PASS);
        a.put(EXIT, 0, 0, 0, 0);
    }
    a.code
}

/// Is it for our hardware address?
fn by_address(a: &mut Assembler, filter: &Filter) {
    a.put(LOAD_WORD, 2, 6, DATA, 0);
    a.put(LOAD_WORD, 3, 6, DATA_END, 0);
    a.needs(14);
    let Some([first, second, third, fourth, fifth, sixth]) = filter.address else { return };
    for (at, pair) in [(0, [first, second]), (2, [third, fourth])] {
        a.put(LOAD_HALF, 5, 2, at, 0);
        a.unless(5, loaded(u16::from_be_bytes(pair)), Label::NotByAddress);
    }
    a.put(LOAD_HALF, 5, 2, 4, 0);
    a.jump(IF_EQUAL, 5, 0, loaded(u16::from_be_bytes([fifth, sixth])), Label::Redirect);
    a.here(Label::NotByAddress);
}

/// Is it for one of our IP addresses, or does it ask for one?
fn by_ip(a: &mut Assembler, filter: &Filter, addresses: i32) {
    let mut at = 14;
    a.put(LOAD_HALF, 5, 2, 12, 0);
    if let Some(vlan) = filter.vlan {
        a.unless(5, loaded(VLAN), Label::Pass);
        a.needs(18);
        a.put(LOAD_HALF, 5, 2, 14, 0);
        a.put(AND, 5, 0, 0, loaded(VLAN_MASK));
        a.unless(5, loaded(vlan & VLAN_MASK), Label::Pass);
        a.put(LOAD_HALF, 5, 2, 16, 0);
        at = 18;
    }
    let needs = |a: &mut Assembler, len: i16| a.needs(i32::from(at + len));
    a.jump(IF_EQUAL, 5, 0, loaded(IPV4), Label::V4);
    a.jump(IF_EQUAL, 5, 0, loaded(ARP), Label::Arp);
    a.unless(5, loaded(IPV6), Label::Pass);
    // RFC 8200 section 3: the destination, which may be a group.
    needs(a, 40);
    a.put(LOAD_BYTE, 5, 2, at + 24, 0);
    a.jump(IF_EQUAL, 5, 0, GROUP, Label::Group);
    a.key(at + 24);
    a.jump(ALWAYS, 0, 0, 0, Label::LookUp);
    // RFC 4861 section 4.3: the target, behind four bytes that are reserved.
    a.here(Label::Group);
    a.put(LOAD_BYTE, 5, 2, at + 6, 0);
    a.unless(5, ICMPV6, Label::Pass);
    needs(a, 64);
    a.put(LOAD_BYTE, 5, 2, at + 40, 0);
    a.unless(5, NEIGHBOUR_SOLICITATION, Label::Pass);
    a.key(at + 48);
    a.jump(ALWAYS, 0, 0, 0, Label::LookUp);
    // RFC 826: of IPv4, the target behind both addresses of the sender and the target's hardware address.
    a.here(Label::Arp);
    needs(a, 28);
    a.put(LOAD_HALF, 5, 2, at + 2, 0);
    a.unless(5, loaded(IPV4), Label::Pass);
    a.put(LOAD_WORD, 5, 2, at + 24, 0);
    a.jump(ALWAYS, 0, 0, 0, Label::Mapped);
    // RFC 791 section 3.1.
    a.here(Label::V4);
    needs(a, 20);
    a.put(LOAD_WORD, 5, 2, at + 16, 0);
    a.here(Label::Mapped);
    a.put(STORE_DOUBLE_VALUE, 10, 0, -16, 0);
    a.put(STORE_WORD_VALUE, 10, 0, -8, i32::from_ne_bytes(MAPPED));
    a.put(STORE_WORD, 10, 5, -4, 0);
    a.here(Label::LookUp);
    a.map(1, addresses);
    a.put(MOVE_REGISTER, 2, 10, 0, 0);
    a.put(ADD, 2, 0, 0, i32::from(-KEY_BELOW));
    a.put(CALL, 0, 0, 0, LOOK_UP);
    a.jump(IF_EQUAL, 0, 0, 0, Label::Pass);
}

#[cfg(test)]
mod tests;
