//! What whoever wants into our own network would write, and what a partner would.

use super::*;
use crate::http::{AddressError, Outbound};

/// A guard as it is shipped, but for http and networks that are nobody's here.
fn guard_of(allowed: &[&str], plain_http: bool) -> Guard {
    Guard::new(allowed.iter().map(|text| text.parse().unwrap()).collect(), plain_http, Vec::new())
}

/// What is said of an address before it is resolved, as a word.
fn said(guard: &Guard, url: &str) -> &'static str {
    match (Outbound { guard: guard.clone(), tls: None }).checked(url) {
        Ok(_) => "good",
        Err(AddressError::User) => "user",
        Err(AddressError::Form(_)) => "form",
        Err(AddressError::NoRoots) => "roots",
        Err(AddressError::Forbidden(forbidden)) => match forbidden {
            Forbidden::Address { .. } => "address",
            Forbidden::Plain | Forbidden::PlainTo(_) => "plain",
            Forbidden::Port(_) => "port",
            Forbidden::Host(_) => "host",
            Forbidden::Form => "form",
        },
    }
}

const HOSTILE: &str = r"
    https://127.0.0.1                        address
    https://127.255.255.254:8443/            address
    HTTPS://127.0.0.1                        address
    https://localhost                        address
    https://LOCALHOST.                       address
    https://db.localhost                     address
    https://0.0.0.0                          address
    https://0.1.2.3                          address
    https://10.0.0.1                         address
    https://10.255.255.255                   address
    https://172.16.0.1                       address
    https://172.31.255.255                   address
    https://192.168.1.1:9190/metrics         address
    https://169.254.169.254/latest/meta-data address  # credentials of a machine of AWS, Azure, Google
    https://169.254.170.2                    address  # of a container
    https://100.64.0.1                       address
    https://100.100.100.200                  address  # Alibaba
    https://100.127.255.255                  address
    https://168.63.129.16                    address  # Azure
    https://192.0.0.192                      address  # Oracle
    https://192.0.2.1                        address
    https://192.88.99.1                      address
    https://198.18.0.1                       address
    https://198.19.255.255                   address
    https://198.51.100.7                     address
    https://203.0.113.7                      address
    https://224.0.0.1                        address
    https://240.0.0.1                        address
    https://255.255.255.255                  address
    https://[::1]                            address
    https://[::]                             address
    https://[0:0:0:0:0:0:0:1]:8080           address
    https://[::ffff:127.0.0.1]               address
    https://[::ffff:7f00:1]                  address
    https://[::ffff:8.8.8.8]                 address  # nobody needs to write it so
    https://[::127.0.0.1]                    address
    https://[64:ff9b::127.0.0.1]             address
    https://[64:ff9b:1::a00:1]               address
    https://[2002:7f00:1::]                  address
    https://[2001:0:4136:e378::]             address
    https://[2001:db8::1]                    address
    https://[fe80::1]                        address
    https://[febf::1]                        address
    https://[fec0::1]                        address
    https://[fc00::1]                        address
    https://[fd00:ec2::254]                  address  # AWS
    https://[fd20:ce::254]                   address  # Google
    https://[ff02::1]                        address
    https://[3fff::1]                        address
    https://[100::1]                         address
    https://[5f00::1]                        address
    https://[4000::1]                        address
    https://2130706433                       host
    https://017700000001                     host
    https://0x7f000001                       host
    https://0x7F.1                           host
    https://0x                               host
    https://127.1                            host
    https://127.0.1                          host
    https://0177.0.0.1                       host
    https://127.0.0.01                       host
    https://127.0.0.0x1                      host
    https://127.0.0.1.                       host
    https://0                                host
    https://256.256.256.256                  host
    https://1.2.3.4.5                        host
    https://wallet..example                  host
    https://.example                         host
    https://wallet.example..                 host
    https://[fe80::1%25eth0]                 host
    https://[::1                             form
    https://::1                              form
    https://[127.0.0.1]                      host
    https://[v1.x]                           host
    https://127.0.0.1%2f@wallet.example      user
    https://wallet.example@127.0.0.1         user
    https://wallet.example:443@127.0.0.1     user
    https://me:secret@wallet.example         user
    https://@wallet.example                  user
    https://wallet.example\@127.0.0.1       user
    https://wallet.example\.evil.example    form
    https://wallet%2eexample                 form
    https://127%2e0%2e0%2e1                  form
    https://①②⑦.⓪.⓪.①                        form
    https://127。0。0。1                     form
    https://wallet.example:0                 form
    https://wallet.example:65536             form
    https://wallet.example:99999999999       form
    https://wallet.example:                  form
    https://wallet.example:-1                form
    https://wallet.example:443:443           form
    https://wallet.example?x=1               form
    https://wallet.example/w?x=1             form
    https://wallet.example/w#x               form
    https://                                 form
    https:///path                            form
    https://:443                             form
    https:wallet.example                     form
    //wallet.example                         form
    wallet.example                           form
    wallet.example:443                       form
    /wallet                                  form
    ftp://wallet.example                     form
    file:///etc/passwd                       form
    gopher://127.0.0.1:6379/_FLUSHALL        form
    unix:/run/docker.sock                    form
    javascript:1                             form
    http://wallet.example                    plain
    http://1.1.1.1                           plain
    HTTP://wallet.example                    plain
    http://127.0.0.1                         plain
    http://[2606:4700::1111]                 plain
";

const GOOD: &str = "
    https://wallet.acme.example              good
    https://wallet.acme.example.             good
    https://WALLET.example:8443/base/        good
    https://wallet-2.acme_x.example/a/../b   good
    https://3com.example                     good
    https://0x7f.example                     good
    https://xn--bcher-kva.example            good
    https://wallet                           good
    https://1.1.1.1                          good
    https://172.15.255.255                   good
    https://172.32.0.0                       good
    https://100.63.255.255:1                 good
    https://100.128.0.0:65535                good
    https://192.0.1.0                        good
    https://168.63.129.17                    good
    https://[2606:4700:4700::1111]           good
    https://[2A00:1450::8]:8443/w            good
";

#[track_caller]
fn check(guard: &Guard, table: &str) -> usize {
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(url, word)| (url, word.split('#').next().unwrap().trim()))
        .collect();
    for (url, wanted) in &rows {
        assert_eq!(said(guard, url), *wanted, "{url}");
    }
    rows.len()
}

#[test]
fn what_leads_into_our_own_network_is_refused() {
    assert!(100 <= check(&Guard::default(), HOSTILE));
    check(&Guard::default(), GOOD);
    for odd in ["", " https://wallet.example", "https://wallet.example ", "https://a\tb.example"] {
        assert_eq!(said(&Guard::default(), odd), "form", "{odd:?}");
    }
    let long = "a".repeat(64);
    assert_eq!(said(&Guard::default(), &format!("https://{long}.example")), "host");
}

#[test]
fn networks_of_the_list_may_be_called() {
    let guard = guard_of(&["127.0.0.0/8", "10.20.0.0/16", "fd00:7::/64", "64:ff9b::/96"], true);
    check(
        &guard,
        "
        http://127.0.0.1:9001                    good
        https://localhost                        good
        http://10.20.255.255                     good
        https://10.20.0.0                        good
        https://10.21.0.0                        address
        http://10.19.255.255                     address
        http://[fd00:7::9]:80                    good
        http://[fd00:7:0:1::9]:80                address
        http://wallets:9100                      good     # its addresses decide
        http://1.1.1.1                           plain
        https://1.1.1.1                          good
        https://2130706433                       host
        https://[::ffff:127.0.0.1]               address  # only what is written so is in the list
        https://[64:ff9b::1.1.1.1]               good
        https://[64:ff9b::10.20.0.1]             good     # where it leads to is allowed
        https://[64:ff9b::10.21.0.1]             address
        https://[64:ff9b::169.254.169.254]       address
        ",
    );
    let without_http = guard_of(&["127.0.0.0/8"], false);
    check(
        &without_http,
        "http://127.0.0.1 plain
        https://127.0.0.1 good",
    );
    let of_6to4 = guard_of(&["2002::/16"], false);
    check(
        &of_6to4,
        "https://[2002:101:101::] good
        https://[2002:a00:1::] address",
    );
}

#[test]
fn ports_may_be_bounded() {
    let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap()], true, vec![443, 8443]);
    check(
        &guard,
        "
        https://wallet.example        good
        https://wallet.example:8443   good
        https://wallet.example:444    port
        http://127.0.0.1              port
        http://127.0.0.1:8443         good
        ",
    );
}

/// A name says nothing of where it leads to: what it resolves to is asked about again.
#[test]
fn addresses_that_a_name_led_to_are_looked_at() {
    let guard = guard_of(&["10.0.0.0/8"], true);
    for (address, plain, wanted) in [
        ("1.1.1.1", false, true),
        ("1.1.1.1", true, false),
        ("10.1.1.1", true, true),
        ("127.0.0.1", false, false),
        ("::ffff:10.1.1.1", false, false),
        ("2606:4700::1111", false, true),
    ] {
        let judged = guard.address(address.parse().unwrap(), plain);
        assert_eq!(judged.is_ok(), wanted, "{address} {plain}: {judged:?}");
    }
}

#[test]
fn networks_are_read_and_shown() {
    for text in ["10.0.0.0/8", "0.0.0.0/0", "1.2.3.4/32", "::/0", "fd00:7::/64", "::1/128"] {
        assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
    }
    for text in ["", "10.0.0.0", "10/8", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "a/8", "::1/ 8"] {
        assert_eq!(text.parse::<Network>(), Err(NetworkError::Form(text.to_owned())), "{text}");
    }
    let error = "10.1.0.0/8".parse::<Network>().unwrap_err().to_string();
    assert!(error.contains("10.0.0.0/8"), "{error}");
    let everything: Network = "0.0.0.0/0".parse().unwrap();
    assert!(everything.contains("255.1.2.3".parse().unwrap()));
    assert!(!everything.contains("::1".parse().unwrap()));
}
