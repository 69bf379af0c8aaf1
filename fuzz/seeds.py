"""Write the first seeds: small whole inputs of every reader; ``python fuzz/seeds.py``. Findings are added by hand."""

from __future__ import annotations

import json
from pathlib import Path

SHA = "ab" * 32
GENERATION = {
    **{"key": "k1", "case": "case-1", "condition": "c", "category": None, "seed": 0, "status": "ok", "schema": 1},
    **{"video": "v.mp4", "sha256": SHA, "attempts": [{"type": "E", "message": "m"}], "seconds": 1.5},
}
SCORE = {
    **{"key": "s1", "metric": "m", "version": 1, "params": {}, "case": "case-1", "condition": "c", "seed": 0},
    **{"category": "style", "video_sha256": SHA, "case_sha256": SHA, "status": "ok", "value": 0.5, "schema": 1},
}
MANIFEST = {
    "schema": 1,
    "identity": {"suite": "mini", "name": "vap", "version": 1, "parameters": {"steps": 2}},
    "cases": {"case-1": {"condition": "c", "tasks": ["all"], "seeds": [0], "caption": "A dog.", "target": "b.mp4"}},
    "metrics": {"m": {"needs": [], "title": "M", "higher_is_better": True, "digits": 2, "range": [0, 1]}},
    "card": {"title": "VAP", "kind": "unified", "notes": ["n"]},
    "sessions": [{"ended": "2026-01-01", "argv": ["vapbench"]}],
}
SUBMISSION = {
    **{"schema": 1, "id": "mine", "title": "T", "submitter": "S", "contact": "a@b.org", "licence": "MIT", "seeds": [0]},
    "outputs": [{"case": "case-1", "seed": 0, "sha256": SHA}],
}
VOTE = {
    **{"sequence": 1, "assignment": "a", "rater": "rater", "role": "main", "cell": "c", "case": "case-1", "choice": 0},
    **{"question": "q", "order": ["a", "b"], "response_ms": 1, "shown_us": 1, "stored_us": 2, "client": {"plays": [1]}},
}
BATTLE = {"question_id": "case-1", "model_a": "vap", "model_b": "i2v", "winner": "model_a", "judge": "j"}
INDEX = "video_paths,ref_video_paths,tar_video_caption,kind,split,reference_alignment_score\n"
SEEDS: dict[str, list[object]] = {
    "manifest": [MANIFEST, GENERATION, SCORE, SUBMISSION],
    "table": [
        'a,b\n"x, y",z\n',
        "video_paths,ref_video_path,tar_video_caption,ref_video_caption\na/1.mp4,a/2.mp4,A dog.,A cat.\n",
        f'{INDEX}a/1.mp4,"[""a/2.mp4""]",A dog.,kind,train,0.5\n',
        "case,video\ncase-1,a/1.mp4\n",
        "case,condition,prompt,reference,image,target,one,two\nx,c,p,a/1.mp4,,,a/1.mp4,a/2.mp4\n",
    ],
    "votes": [
        {"choice": "tie", "comment": "c", "client": {"milliseconds": 1, "viewport": [1, 2]}},
        {"record": VOTE, "hash": SHA},
        BATTLE,
        [BATTLE],
        "question_id,model_a,model_b,winner\ncase-1,vap,i2v,tie\n",
        "case,rater,question,shown,chosen,role\ncase-1,r,q,vap | i2v,vap,main\n",
    ],
}


def main() -> None:
    """Write them."""
    for target, seeds in SEEDS.items():
        folder = Path(__file__).parent / "seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds):
            text = seed if isinstance(seed, str) else json.dumps(seed) + "\n"
            (folder / f"whole-{number}").write_bytes(bytes([number]) + text.encode())


if __name__ == "__main__":
    main()
