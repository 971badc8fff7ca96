"""Writes the reference anew and removes what is no longer generated."""

from .reference import FOLDER, reference, written

if __name__ == "__main__":
    pages = reference()
    for gone in written() - set(pages):
        (FOLDER / gone).unlink()
    for name, text in pages.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, "utf-8")
    print(f"wrote {len(pages)} files to {FOLDER}")
