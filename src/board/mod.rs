//! What the board is: its values with units, checked when the firmware is built.
