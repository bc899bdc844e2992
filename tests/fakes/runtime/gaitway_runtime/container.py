"""The stand-in's way in inside a container: the job in, ``result.json`` as a line of log out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

run_dir = Path(os.environ["RUN_DIR"])
run_dir.mkdir(parents=True, exist_ok=True)
if os.environ.get("JOB_FILE"):
    text = Path(os.environ["JOB_FILE"]).read_text()
else:
    overrides = os.environ["SET_OVERRIDES"].replace("none", "").split(";")
    job = {"task": os.environ["TASK"], "overrides": [word for word in overrides if word]}
    text = json.dumps(
        {"kind": os.environ["JOB_KIND"], "job": job, "context": json.loads(os.environ["GAITWAY_CONTEXT"])}
    )
(run_dir / "job.json").write_text(text)
code = subprocess.run([sys.executable, "-m", "gaitway_runtime", "--job", str(run_dir / "job.json")]).returncode
result = run_dir / "outputs" / "result.json"
if result.exists():
    print("::gaitway-result::", json.dumps(json.loads(result.read_text())), flush=True)
if os.environ.get("OUTPUT_COPY"):
    shutil.copytree(run_dir / "outputs", os.environ["OUTPUT_COPY"], dirs_exist_ok=True)
sys.exit(code)
