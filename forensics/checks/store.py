"""Store: what lies in the folder, who has it open, and whether it can be read and written."""
