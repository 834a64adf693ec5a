"""The driver of an interface whose terminal is a page of `ftapp serve`, which may come back after a lost connection."""

from __future__ import annotations

from textual import messages
from textual.drivers import web_driver


class WebDriver(web_driver.WebDriver):
    """Draws everything again for a page that comes back, and ends the interface when its server ends."""

    def run_input_thread(self) -> None:
        """Read input until the server has closed it."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            self._app.post_message(messages.ExitApp())

    def on_meta(self, packet_type: str, payload: dict[str, object]) -> None:
        """Take a message of the server."""
        if packet_type == "redraw":
            self._app.call_later(self._redraw)
        else:
            super().on_meta(packet_type, payload)

    def _redraw(self) -> None:
        self.write("\x1b[?1049h\x1b[?25l")
        self._enable_mouse_support()
        self._enable_bracketed_paste()
        self._app.refresh(layout=True)
