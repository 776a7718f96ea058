"""Mail as a model should read it: pure functions from a message to safe, compact text.

- What a person would see of HTML: `html` (the walk), `links`, `writer`, `numbering`; `style` (with `css`, `selectors`,
  `colors`) tells what is hidden; `nesting` bounds what hostile markup costs.
- What is new: `quotes`, `signatures`, `repeats`. Other forms than text: `forms`, with `damage`, `ical` and `rtf`.
- Characters and cost: `unicode`, `budget`, with `costs`. Whose words are whose: `fence`.
- What is to be known of a message: `signals`, with `assistants` and `lookalikes`; `kinds`; `snippet`; `addresses`.
- `reading` puts them together.
"""
