//! What stands between a gateway and its database and looks at what passes: to change it, or to break the connection at a
//! chosen word.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What becomes of a piece that the gateway sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    Pass,
    /// It does not arrive, and the connection breaks.
    CutBefore,
    /// It arrives; the answer does not, and the connection breaks.
    CutAfter,
    /// It arrives; the answer does not, and the connection stays.
    Hush,
}

type Look = Box<dyn FnMut(&mut Vec<u8>) -> Then + Send>;

pub(super) struct Between {
    port: u16,
    look: Arc<Mutex<Look>>,
}

impl Between {
    /// Before the server at this port of loopback. Lets everything pass.
    pub(super) fn before(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let look: Arc<Mutex<Look>> = Arc::new(Mutex::new(Box::new(|_| Then::Pass)));
        let looks = Arc::clone(&look);
        // They end with their sockets, or with the tests' process.
        std::thread::spawn(move || {
            for gateway in listener.incoming().flatten() {
                let (look, database) = (Arc::clone(&looks), TcpStream::connect((Ipv4Addr::LOCALHOST, server)));
                let Ok(database) = database else { continue };
                let (hushed, cut) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
                let back = (database.try_clone().unwrap(), gateway.try_clone().unwrap());
                let flags = (Arc::clone(&hushed), Arc::clone(&cut));
                std::thread::spawn(move || answers(back, &flags));
                std::thread::spawn(move || asked(gateway, database, &look, &hushed, &cut));
            }
        });
        Self { port, look }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Looks at every piece from now on.
    pub(super) fn look(&self, look: impl FnMut(&mut Vec<u8>) -> Then + Send + 'static) {
        *self.look.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(look);
    }
}

fn asked(mut gateway: TcpStream, mut database: TcpStream, look: &Mutex<Look>, hushed: &AtomicBool, cut: &AtomicBool) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = gateway.read(&mut piece) {
        let mut said = piece[..length].to_vec();
        let then = (look.lock().unwrap_or_else(PoisonError::into_inner))(&mut said);
        hushed.fetch_or(matches!(then, Then::CutAfter | Then::Hush), Ordering::SeqCst);
        cut.fetch_or(then == Then::CutAfter, Ordering::SeqCst);
        let arrived = then != Then::CutBefore && database.write_all(&said).is_ok();
        // Of a connection that stays, not even its end is heard.
        if !arrived && (!hushed.load(Ordering::SeqCst) || cut.load(Ordering::SeqCst)) {
            break;
        }
    }
    database.shutdown(Shutdown::Both).ok();
    gateway.shutdown(Shutdown::Both).ok();
}

fn answers((mut database, mut gateway): (TcpStream, TcpStream), (hushed, cut): &(Arc<AtomicBool>, Arc<AtomicBool>)) {
    let mut piece = vec![0; 1 << 16];
    while let Ok(length @ 1..) = database.read(&mut piece) {
        if cut.load(Ordering::SeqCst) {
            break;
        }
        if !hushed.load(Ordering::SeqCst) && gateway.write_all(&piece[..length]).is_err() {
            break;
        }
    }
    if hushed.load(Ordering::SeqCst) && !cut.load(Ordering::SeqCst) {
        return;
    }
    database.shutdown(Shutdown::Both).ok();
    gateway.shutdown(Shutdown::Both).ok();
}

/// Whether it has these bytes in it.
pub(super) fn says(piece: &[u8], words: &str) -> bool {
    piece.windows(words.len()).any(|window| window == words.as_bytes())
}
