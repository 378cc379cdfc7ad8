"""The code of each component, as one hash: `code/<component>.json`, which its stages in dvc.yaml depend on.

Reads components/, runs nothing. So a comment makes no stage run but this one, and a changed line exactly those whose component reaches
it. Each file lists what the hash is made of: a diff of two says which file moved.
"""
