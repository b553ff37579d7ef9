"""Checks what the tests ask of AWS against AWS's own service models, which botocore carries.

    python check_inputs.py INPUTS [--project FOLDER]

INPUTS is the folder that `$SLUICE_AWS_INPUTS` named while the tests ran: files of JSON lines, each
{"serviceId", "operation", "input"}; bytes are {"$bytes": true} there, and a date is {"$date": "…"}.

Checked: unknown and missing members, types, enumerations, lengths, ranges, patterns, unions. And that there is an
input of every command that the project's sources import from an SDK client: what no test asks cannot be checked.
The models are read here and not by botocore's own validator, which checks no enumeration, pattern or greatest length.

Prints a line for each finding and a summary; ends with 1 when there is a finding.
Needs the packages botocore and regex (the models' patterns use classes such as \\p{L}, which `re` does not know).
"""

import argparse
import gzip
import json
import re
import sys
from datetime import datetime
from pathlib import Path

import botocore
import regex

MODELS = Path(botocore.__file__).parent / "data"
# Where botocore's folder is not the service id in lower case and without spaces.
FOLDERS = {"SFN": "stepfunctions", "Elastic Load Balancing v2": "elbv2", "CloudWatch Logs": "logs"}

# Unions that their model does not mark as such: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
UNIONS = {("DynamoDB", "AttributeValue")}

# Members that the SDK knows and botocore's newest model does not yet: (service id, operation, path): the reason.
NEWER_THAN_THE_MODELS: dict[tuple[str, str, str], str] = {
    ("S3", "ListParts", "PartNumberMarker"): "a string in the SDK, an integer here, the same in the URL",
}

BYTES = "$bytes"
DATE = "$date"


class Model:
    """The newest model of one service."""

    def __init__(self, service_id: str):
        folder = MODELS / FOLDERS.get(service_id, service_id.lower().replace(" ", ""))
        files = sorted(folder.glob("*/service-2.json*"))
        if not files:
            raise SystemExit(f"botocore has no model of {service_id} in {folder.name}")
        opened = gzip.open(files[-1]) if files[-1].suffix == ".gz" else files[-1].open("rb")
        with opened:
            model = json.load(opened)
        if model["metadata"].get("serviceId") != service_id:
            raise SystemExit(f"{folder.name} is the model of {model['metadata'].get('serviceId')}, not of {service_id}")
        self.service_id = service_id
        self.shapes = model["shapes"]
        self.operations = model["operations"]

    def findings(self, operation: str, value: object) -> list[str]:
        """What is wrong with an operation's input: "path: what"."""
        if operation not in self.operations:
            return ["(operation): the service has none of this name"]
        shape = self.operations[operation].get("input")
        if shape is None:
            return [] if value == {} else ["(input): the operation takes none"]
        found = list(self.check(shape["shape"], value, ""))
        allowed = {path for (service, name, path) in NEWER_THAN_THE_MODELS if (service, name) == (self.service_id, operation)}
        return [f"{path or '(input)'}: {what}" for path, what in found if path not in allowed]

    def check(self, name: str, value: object, path: str):
        """Yields (path, what) for each mistake in a value of the named shape."""
        shape = self.shapes[name]
        kind = shape["type"]
        if kind == "structure" and shape.get("document"):
            return
        if kind == "structure":
            is_union = shape.get("union") or (self.service_id, name) in UNIONS
            yield from self.check_structure({**shape, "union": is_union}, value, path)
        elif kind == "list":
            yield from self.check_list(shape, value, path)
        elif kind == "map":
            yield from self.check_map(shape, value, path)
        elif kind in ("string", "character"):
            yield from check_string(shape, value, path)
        elif kind in ("integer", "long"):
            if isinstance(value, bool) or not isinstance(value, int):
                yield path, f"{told(value)} is not an {kind}"
            else:
                yield from check_size(shape, value, path, "the value")
        elif kind in ("float", "double"):
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                yield path, f"{told(value)} is not a {kind}"
            else:
                yield from check_size(shape, value, path, "the value")
        elif kind == "boolean":
            if not isinstance(value, bool):
                yield path, f"{told(value)} is not a boolean"
        elif kind == "timestamp":
            if not (isinstance(value, dict) and list(value) == [DATE] and is_date(value[DATE])):
                yield path, f"{told(value)} is not a date"
        elif kind == "blob":
            if not (is_bytes(value) or (shape.get("streaming") and isinstance(value, str))):
                yield path, f"{told(value)} is not bytes"
        else:
            yield path, f"the checker does not know the type {kind}"

    def check_structure(self, shape: dict, value: object, path: str):
        if not isinstance(value, dict) or BYTES in value or DATE in value:
            yield path, f"{told(value)} is not a structure"
            return
        members = shape.get("members", {})
        for name in shape.get("required", []):
            # A member with this trait is filled in by the SDK.
            if name not in value and not members[name].get("idempotencyToken"):
                yield join(path, name), "is required and missing"
        if shape.get("union") and len(value) != 1:
            yield path, f"exactly one member of a union is to be there, not {len(value)}"
        for name, inner in value.items():
            if name not in members:
                yield join(path, name), "is no member of the model"
            # The body of a request may stream whatever its shape says.
            elif not (members[name].get("streaming") and (is_bytes(inner) or isinstance(inner, str))):
                yield from self.check(members[name]["shape"], inner, join(path, name))

    def check_list(self, shape: dict, value: object, path: str):
        if not isinstance(value, list):
            yield path, f"{told(value)} is not a list"
            return
        yield from check_size(shape, len(value), path, "the number of entries")
        for index, inner in enumerate(value):
            yield from self.check(shape["member"]["shape"], inner, f"{path}[{index}]")

    def check_map(self, shape: dict, value: object, path: str):
        if not isinstance(value, dict) or BYTES in value or DATE in value:
            yield path, f"{told(value)} is not a map"
            return
        yield from check_size(shape, len(value), path, "the number of entries")
        for key, inner in value.items():
            yield from self.check(shape["key"]["shape"], key, f"{path}.<key {key[:40]}>")
            yield from self.check(shape["value"]["shape"], inner, join(path, key))


def check_string(shape: dict, value: object, path: str):
    if not isinstance(value, str):
        yield path, f"{told(value)} is not a string"
        return
    yield from check_size(shape, len(value), path, "the length")
    if "enum" in shape and value not in shape["enum"]:
        yield path, f"{told(value)} is none of {', '.join(shape['enum'][:12])}"
    if "pattern" in shape and not regex.fullmatch(shape["pattern"], value):
        yield path, f"{told(value)} does not match {shape['pattern']}"


def check_size(shape: dict, size: float, path: str, what: str):
    if "min" in shape and size < shape["min"]:
        yield path, f"{what} is {size}, less than {shape['min']}"
    if "max" in shape and size > shape["max"]:
        yield path, f"{what} is {size}, more than {shape['max']}"


def is_bytes(value: object) -> bool:
    return isinstance(value, dict) and list(value) == [BYTES]


def is_date(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text.replace("Z", "+00:00")) is not None
    except ValueError:
        return False


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def told(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def recorded(folder: Path) -> dict[tuple[str, str, str], object]:
    """Every distinct input: (service id, operation, its JSON) to the value."""
    inputs = {}
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            text = json.dumps(entry["input"], sort_keys=True)
            inputs[(entry["serviceId"], entry["operation"], text)] = entry["input"]
    return inputs


def commands_of(project: Path) -> set[tuple[str, str]]:
    """What the sources can ask: each (service id, operation) whose command they import from an SDK client."""
    commands = set()
    imports = re.compile(r"import\s*\{([^}]*)\}\s*from\s*'(@aws-sdk/client-[\w-]+)'")
    for folder in ("functions", "buildspecs"):
        for file in (project / folder).rglob("*.ts"):
            for names, package in imports.findall(file.read_text(encoding="utf-8")):
                for name in re.findall(r"(?<!type )\b(\w+)Command\b", names):
                    commands.add((service_id_of(project, package), name))
    return commands


def service_id_of(project: Path, package: str) -> str:
    config = (project / "node_modules" / package / "dist-es" / "runtimeConfig.shared.js").read_text(encoding="utf-8")
    return re.search(r'serviceId: .*"([^"]+)"', config).group(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("inputs", type=Path)
    parser.add_argument("--project", type=Path, help="also expect an input of every command its sources import")
    options = parser.parse_args()

    models: dict[str, Model] = {}
    inputs = recorded(options.inputs)
    findings: dict[str, None] = {}
    for (service_id, operation, _text), value in inputs.items():
        if service_id not in models:
            models[service_id] = Model(service_id)
        model = models[service_id]
        findings.update({f"{service_id} {operation} {finding}": None for finding in model.findings(operation, value)})
    asked = {(service_id, operation) for service_id, operation, _text in inputs}
    expected = commands_of(options.project) if options.project else set()
    for service_id, operation in sorted(expected - asked):
        findings[f"{service_id} {operation} (input): no test asks for it"] = None

    for finding in findings:
        print(finding)
    print(f"{len(inputs)} inputs of {len(asked)} operations checked, {len(findings)} findings (botocore {botocore.__version__})")
    return 1 if findings or not inputs else 0


if __name__ == "__main__":
    sys.exit(main())
