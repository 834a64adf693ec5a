"""The interface's own themes, beside those of Textual."""

from __future__ import annotations

from textual.theme import Theme

# Blue for what trains and for controls, amber for the second of two things, grey for frozen layers.
THEMES = (
    Theme(
        name="ftapp-dark",
        primary="#7aa2f7",
        secondary="#73809c",
        accent="#e0af68",
        success="#9ece6a",
        warning="#e0af68",
        error="#f7768e",
        foreground="#d5daea",
        background="#16181f",
        surface="#1e212b",
        panel="#272b37",
        dark=True,
        variables={
            "border": "#3b4152",
            "border-blurred": "#3b4152",
            "footer-background": "#16181f",
            "footer-key-foreground": "#7aa2f7",
            "footer-description-foreground": "#9aa3b8",
            "block-cursor-background": "#2f3a57",
            "block-cursor-foreground": "#ffffff",
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": "#272b37",
            "input-selection-background": "#7aa2f7 35%",
        },
    ),
    Theme(
        name="ftapp-light",
        primary="#2a5bd7",
        secondary="#6b7388",
        accent="#9a6200",
        success="#2f7d32",
        warning="#9a6200",
        error="#c4314b",
        foreground="#1f2430",
        background="#fafafa",
        surface="#f1f2f5",
        panel="#e3e6ec",
        dark=False,
        variables={
            "border": "#c3c8d4",
            "border-blurred": "#c3c8d4",
            "footer-background": "#fafafa",
            "footer-key-foreground": "#2a5bd7",
            "footer-description-foreground": "#5b6274",
            "block-cursor-background": "#cfdcfb",
            "block-cursor-foreground": "#10131a",
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": "#e3e6ec",
            "input-selection-background": "#2a5bd7 25%",
        },
    ),
)
