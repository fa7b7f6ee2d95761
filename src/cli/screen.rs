//! The terminal as a screen, and as it was before once that is over, however it ends.

use std::io::{self, Stdout};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::backend::CrosstermBackend;
use ratatui::{Frame, Terminal};

/// The terminal is a screen now.
static OPEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// A screen of its own; dropped, the terminal is again what it was.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
}

impl Screen {
    /// # Errors
    /// When the terminal does not do what it is told.
    pub(super) fn open() -> io::Result<Self> {
        // What a panic says must not be said on a screen that is then taken away.
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        enable_raw_mode()?;
        OPEN.store(true, Ordering::SeqCst);
        let opened = execute!(io::stdout(), EnterAlternateScreen, Hide)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        match opened {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// # Errors
    /// When the terminal is gone.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        if !OPEN.load(Ordering::SeqCst) {
            return Err(io::Error::other("a part of arcusctl failed, and the screen was left"));
        }
        self.terminal.draw(render).map(drop)
    }

    /// Gives the terminal back until [`Self::resume`].
    pub(super) fn leave(&self) {
        restore();
    }

    /// # Errors
    /// When the terminal does not do what it is told.
    pub(super) fn resume(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        OPEN.store(true, Ordering::SeqCst);
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        self.terminal.clear()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if OPEN.swap(false, Ordering::SeqCst) {
        // A terminal that is gone is nobody's to restore.
        let _gone = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _gone = disable_raw_mode();
    }
}
