"""The command `curate`: one small file per noun."""
