"""The stand-in's way in inside a container: the job's document in, ``result.json`` as a line of log out."""

import json
import os
import subprocess
import sys
from pathlib import Path

run_dir = Path(os.environ["RUN_DIR"])
(run_dir / "job.json").write_text(Path(os.environ["JOB_FILE"]).read_text())
code = subprocess.run([sys.executable, "-m", "gaitway_runtime", "--job", str(run_dir / "job.json")]).returncode
result = run_dir / "outputs" / "result.json"
if result.exists():
    print("::gaitway-result::", json.dumps(json.loads(result.read_text())), flush=True)
sys.exit(code)
