"""The cluster, the repository and both tools, as `check` uses them."""
import concurrent.futures, json, os, shutil, subprocess, sys, threading, time

here = os.path.dirname(os.path.abspath(__file__))
testbed = os.environ.get("TESTBED_DIR", "/tmp")
state = os.environ.get("STATE", f"{testbed}/gitops-testbed")
os.environ.setdefault("KUBECONFIG", f"{testbed}/harvester-testbed/kubeconfig")
forge = f"http://127.0.0.1:{os.environ.get('PORT', '18480')}"
lock = threading.RLock()
results = []
MIGRATION, WINDROW = "migration.harvesterhci.io/v1beta1", "windrow.dev/v1alpha1"
RUNNING = ["virtualMachineImportValid", "sourceReady", "disksExported", "diskImageSubmitted", "diskImagesReady", "diskImageFailed", "virtualMachineCreated"]
FAILED = ["virtualMachineImportInvalid", "VMMigrationFailed"]
DONE = "virtualMachineRunning"
PLURAL = {"VirtualMachineImport": "virtualmachineimport.migration.harvesterhci.io", "VmwareSource": "vmwaresource.migration.harvesterhci.io",
          "MigrationWave": "migrationwave.windrow.dev", "Plain": "plain.testbed.dev", "ConfigMap": "configmap"}


def run(*words, stdin=None, check=True):
    done = subprocess.run(words, input=stdin, capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def kubectl(*words, **more):
    return run("kubectl", *words, **more)


def get(kind, name, ns):
    out = kubectl("get", PLURAL.get(kind, kind), name, "-n", ns, "-o", "json", "--ignore-not-found")
    return json.loads(out) if out else None


def patch(kind, name, ns, body, status=False, by="vm-import-controller"):
    """By default as a controller does it: Flux has its own mind about what comes from kubectl."""
    kubectl("patch", PLURAL.get(kind, kind), name, "-n", ns, "--type=merge", "-p", json.dumps(body), *(["--subresource=status"] if status else []),
            *([f"--field-manager={by}"] if by else []))


def importStatus(name, ns, value):
    patch("VirtualMachineImport", name, ns, {"status": {"importStatus": value}}, status=True)


def version(kind, name, ns):
    return (get(kind, name, ns) or {}).get("metadata", {}).get("resourceVersion")


def wait(seconds, probe):
    end = time.time() + seconds
    while True:
        found = probe()
        if found or time.time() > end:
            return found
        time.sleep(0.3)


def holds(seconds, probe):
    end = time.time() + seconds
    while time.time() < end:
        if not probe():
            return False
        time.sleep(0.5)
    return True


def thing(kind, name, annotations=None, spec=None, api=None, **more):
    api = api or {"VirtualMachineImport": MIGRATION, "VmwareSource": MIGRATION, "MigrationWave": WINDROW, "Plain": "testbed.dev/v1", "ConfigMap": "v1", "Job": "batch/v1"}[kind]
    meta = {"name": name, **({"annotations": annotations} if annotations else {})}
    body = {"apiVersion": api, "kind": kind, "metadata": meta, **more}
    if kind not in ("ConfigMap",):
        body["spec"] = spec if spec is not None else {"virtualMachineName": name, "sourceCluster": {"apiVersion": MIGRATION, "kind": "VmwareSource", "name": "shop", "namespace": "default"}}
    return json.dumps(body, indent=1) + "\n"


class Case:
    """One namespace and one repository: a commit wakes everything that reads the repository."""

    def __init__(self, tool, name):
        self.tool, self.name = tool, name
        self.ns = f"check-{tool}-{name}"[:60].rstrip("-")

    def expect(self, what, good, detail=""):
        with lock:
            results.append(bool(good))
            print(f"{'ok  ' if good else 'FAIL'}  {self.tool:6} {self.name:14} {what}{'' if good else f' ({detail})'}", flush=True)

    def note(self, text):
        with lock:
            print(f"note  {self.tool:6} {self.name:14} {text}", flush=True)

    def prepare(self):
        bare, self.work, self.repo = f"{state}/repos/{self.ns}.git", f"{state}/work/{self.ns}", f"{forge}/{self.ns}.git"
        for d in (bare, self.work):
            shutil.rmtree(d, ignore_errors=True)
        run("git", "init", "-q", "--bare", "-b", "main", bare)
        run("git", "-C", bare, "config", "http.receivepack", "true")
        run("git", "clone", "-q", self.repo, self.work)
        run("git", "-C", self.work, "checkout", "-q", "-B", "main")
        kubectl("create", "namespace", self.ns)

    def commit(self, files):
        """Write these files, None for those to remove, and push; the new commit."""
        for path, text in files.items():
            full = os.path.join(self.work, path)
            if text is None:
                os.remove(full)
                continue
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w") as f:
                f.write(text)
        git = ["git", "-C", self.work, "-c", "user.name=check", "-c", "user.email=check@localhost"]
        run(*git, "add", "-A")
        run(*git, "commit", "-q", "--allow-empty", "-m", "check")
        run(*git, "push", "-q", "origin", "main")
        return run(*git, "rev-parse", "HEAD").strip()

    # Flux
    def kustomization(self, name="all", path="", **spec):
        spec = {"interval": "1h", "retryInterval": "1h", "timeout": "90s", "prune": False, "wait": True, "targetNamespace": self.ns,
                "sourceRef": {"kind": "GitRepository", "name": self.ns}, "path": f"./{path}", **spec}
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
                "metadata": {"name": f"{self.ns}-{name}", "namespace": "flux-system"}, "spec": spec}))

    def fetched(self, sha):
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
                "metadata": {"name": self.ns, "namespace": "flux-system", "annotations": {"reconcile.fluxcd.io/requestedAt": str(time.time())}},
                "spec": {"interval": "1h", "url": self.repo, "ref": {"branch": "main"}}}))
        return wait(60, lambda: sha in (((get("gitrepository", self.ns, "flux-system").get("status") or {}).get("artifact") or {}).get("revision") or ""))

    def reconcile(self, name="all", seconds=60):
        """Ask for a reconciliation and wait until it is done."""
        now = str(time.time())
        kubectl("annotate", "--overwrite", "-n", "flux-system", f"kustomization/{self.ns}-{name}", f"reconcile.fluxcd.io/requestedAt={now}")

        def handled():
            it = get("kustomization", f"{self.ns}-{name}", "flux-system")
            status = it.get("status") or {}
            return (status.get("lastHandledReconcileAt") == now and status.get("observedGeneration") == it["metadata"]["generation"]
                    and self.ready(name)[0] in ("True", "False"))
        return wait(seconds, handled)

    def ready(self, name="all"):
        status = (get("kustomization", f"{self.ns}-{name}", "flux-system") or {}).get("status") or {}
        for c in status.get("conditions", []):
            if c["type"] == "Ready":
                return c["status"], c["reason"], c["message"]
        return "", "", ""

    # Argo CD
    def application(self, path="", annotations=None, options=(), directory=None, ns=None, finalizer=False, **spec):
        self.app = self.ns
        self.options = list(options)
        kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
                "metadata": {"name": self.app, "namespace": "argocd", "annotations": annotations or {},
                             **({"finalizers": ["resources-finalizer.argocd.argoproj.io"]} if finalizer else {})},
                "spec": {"project": "default", "source": {"repoURL": self.repo, "targetRevision": "main", "path": path or "."},
                         "destination": {"server": "https://kubernetes.default.svc", "namespace": self.ns},
                         "syncPolicy": {"syncOptions": self.options, **spec}}}))

    def sync(self, prune=False, wait_=0, **more):
        wait(60, lambda: not get("application", self.app, "argocd").get("operation"))
        before = (self.operation() or {}).get("startedAt")
        self.refresh()
        patch("application", self.app, "argocd", {"operation": {"initiatedBy": {"username": "check"},
              "sync": {"revision": "main", "prune": prune, "syncOptions": self.options, "syncStrategy": {"hook": {}}, **more}}})
        wait(30, lambda: (self.operation() or {}).get("startedAt") not in (None, before))
        if wait_:
            wait(wait_, lambda: self.phase() not in ("Running", "Terminating"))
        return self.phase()

    def refresh(self, how="normal"):
        kubectl("annotate", "--overwrite", "-n", "argocd", f"application/{self.app}", f"argocd.argoproj.io/refresh={how}")
        wait(30, lambda: "argocd.argoproj.io/refresh" not in (get("application", self.app, "argocd")["metadata"].get("annotations") or {}))

    def operation(self):
        return ((get("application", self.app, "argocd") or {}).get("status") or {}).get("operationState")

    def phase(self):
        return (self.operation() or {}).get("phase")

    def terminate(self):
        patch("application", self.app, "argocd", {"status": {"operationState": {"phase": "Terminating"}}})
        wait(30, lambda: self.phase() not in ("Running", "Terminating"))

    def health(self, kind, name):
        for r in ((get("application", self.app, "argocd") or {}).get("status") or {}).get("resources", []):
            if r["kind"] == kind and r["name"] == name:
                h = r.get("health") or {}
                return h.get("status"), h.get("message", "")
        return None, ""

    def synced(self, kind=None, name=None):
        status = (get("application", self.app, "argocd") or {}).get("status") or {}
        if not kind:
            return (status.get("sync") or {}).get("status")
        return next((r.get("status") for r in status.get("resources", []) if r["kind"] == kind and r["name"] == name), None)


cases = {}


def case(tool, name):
    def register(f):
        cases[tool, name] = f
        return f
    return register


def one(tool, name):
    c = Case(tool, name)
    try:
        c.prepare()
        cases[tool, name](c)
    except Exception as e:  # noqa: BLE001 - one case's trouble is not another's
        c.expect("the case ran", False, repr(e))


def clean(tools):
    if "flux" in tools:
        for kind in ("kustomizations.kustomize.toolkit.fluxcd.io", "gitrepositories.source.toolkit.fluxcd.io"):
            mine = [n for n in kubectl("get", kind, "-n", "flux-system", "-o", "name", check=False).split() if "/check-flux-" in n]
            if mine:
                kubectl("delete", "-n", "flux-system", *mine, "--timeout=60s", check=False)
    if "argocd" in tools:
        for name in kubectl("get", "applications.argoproj.io", "-n", "argocd", "-o", "name", check=False).split():
            kubectl("patch", name, "-n", "argocd", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', check=False)
            kubectl("delete", name, "-n", "argocd", "--timeout=60s", check=False)
    old = [n for n in kubectl("get", "namespaces", "-o", "name").split() if any(n.startswith(f"namespace/check-{t}-") for t in tools)]
    if old:
        kubectl("delete", *old, "--timeout=120s", check=False)


def main():
    words = sys.argv[1:]
    tools = [w for w in words if w in ("flux", "argocd")] or ["flux", "argocd"]
    words = [w for w in words if w not in tools]
    if not kubectl("get", "crd", "virtualmachineimports.migration.harvesterhci.io", "--ignore-not-found"):
        kubectl("apply", "--server-side", "-f", here + "/manifests/kinds.yaml")
    else:  # the import controller's own are there
        kubectl("apply", "--server-side", "-f", "-", stdin="---\n".join(
            part for part in open(here + "/manifests/kinds.yaml").read().split("---\n") if "migration.harvesterhci.io" not in part))
    clean(tools)
    began = time.time()
    wanted = [(t, n) for t, n in cases if t in tools and (not words or any(w in n for w in words))]
    with concurrent.futures.ThreadPoolExecutor(max_workers=int(os.environ.get("JOBS", "4"))) as pool:
        for f in [pool.submit(one, t, n) for t, n in wanted]:
            f.result()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, {time.time() - began:.0f} s")
    sys.exit(not all(results))
