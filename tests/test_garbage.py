import gc

from djd.garbage import keeping_all


def test_nothing_is_collected_meanwhile_and_what_was_made_never() -> None:
    collections: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collections.append(phase)

    gc.callbacks.append(note)
    try:
        with keeping_all():
            collections.clear()
            kept = [[index] for index in range(100_000)]  # each a reason to look, by default
        assert collections == []
        assert gc.isenabled()
        assert gc.get_freeze_count() >= len(kept)
    finally:
        gc.callbacks.remove(note)
        gc.unfreeze()
