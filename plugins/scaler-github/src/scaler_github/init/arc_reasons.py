"""Why a value of the chart gha-runner-scale-set has no counterpart, and what to do instead."""

from __future__ import annotations

from scaler_github.init.translation import Reason

OLDER = (
    "that is the older controller, whose runners are registered by webhooks or by counting "
    "runs, and which is not translated. By hand: spec.template.spec.repository, organization or "
    "enterprise is --url; labels is --label; minReplicas of the HorizontalRunnerAutoscaler (or "
    "replicas) is --target-count and maxReplicas --max-count; group is runner_group in "
    "[profiles.NAME.actions-queue]; resources is --runner-memory and --runner-vcpus. What "
    "triggers scaling there (metrics, scaleUpTriggers) is not needed: GitHub's queue says what "
    "is needed"
)
_KUBERNETES = "it is about objects in Kubernetes, and there is no Kubernetes here"
_POD = "runners are machines, not pods"
_IMAGE = "have it in the machine's image: write it into the boot script (its part `builder`)"
_HYPERVISOR = "runners go to the hypervisors that hosts names"
_NO_LISTENER = "there are no listener pods: one process listens for all scale sets"
_FILE = "a secret is never copied"
_GUEST_ENV = (
    "write it into the boot script, or into the image's /etc/environment; secrets into neither"
)
_VALUE = "its value is not one that can be taken over"

UNKNOWN = Reason(
    "", "scaler does not know this key of the chart", "see docs/reference/settings.md for its like"
)
_RUNNER = "template.spec.containers.*"
REASONS = (
    Reason("githubConfigUrl", _VALUE, "give --url, without a user name or password in it"),
    Reason(
        "githubConfigSecret.github_token",
        _FILE,
        "put the token into an environment variable (--token-env) or a file of mode 0600 "
        "(--token-file)",
    ),
    Reason(
        "githubConfigSecret.github_app_private_key",
        _FILE,
        "put the key into a file of mode 0600: --app-key-file names it",
    ),
    Reason("githubConfigSecret.github_app_id", _VALUE, "give --app-client-id"),
    Reason("githubConfigSecret.github_app_installation_id", _VALUE, "give --app-installation-id"),
    Reason(
        "githubConfigSecret",
        "it names a secret of Kubernetes",
        "get it once: kubectl get secret NAME -o jsonpath='{.data.github_token}' | base64 -d, into "
        "a file of mode 0600 (--token-file); or github_app_id, github_app_installation_id and "
        "github_app_private_key for --app-client-id, --app-installation-id and --app-key-file",
    ),
    Reason(
        "proxy.http.credentialSecretRef",
        _FILE,
        "use a proxy that asks for none, or one of your own before it",
    ),
    Reason(
        "proxy.https.credentialSecretRef",
        _FILE,
        "use a proxy that asks for none, or one of your own before it",
    ),
    Reason(
        "proxy.noProxy",
        "proxy in [plugins.github] is for GitHub alone",
        "where exceptions matter, leave proxy out and set HTTPS_PROXY and NO_PROXY for scaler",
    ),
    Reason(
        "proxy",
        "scaler takes one proxy, without a password in its address",
        "guests have their own: write theirs into the boot script",
    ),
    Reason(
        "maxRunners",
        "it is no whole number from 1 to 100000, which a profile's limit is",
        "`scaler pause` is for 0; else give --max-count: the hosts' limits count, too",
    ),
    Reason("minRunners", _VALUE, "give --target-count"),
    Reason("runnerGroup", _VALUE, "write runner_group in [profiles.NAME.actions-queue] by hand"),
    Reason("runnerScaleSetName", _VALUE, "give --scale-set"),
    Reason(
        "scaleSetLabels",
        "while both run, a job that names only such a label would go to either: they are left out",
        "once that scale set is gone, write them into labels of the profile",
    ),
    Reason(
        "runnerScaleSetLabels",
        "while both run, a job that names only such a label would go to either: they are left out",
        "once that scale set is gone, write them into labels of the profile",
    ),
    Reason(
        "githubServerTLS",
        "the certificate is in a config map",
        "kubectl get configmap NAME -o jsonpath='{.data.KEY}' > FILE, and name it as ca_file in "
        "[plugins.github]; guests need it in their image, too",
    ),
    Reason(
        "keyVault",
        "secrets come from the environment or from files",
        "have the vault's agent write a file",
    ),
    Reason(
        "vaultConfig",
        "secrets come from the environment or from files",
        "have the vault's agent write a file",
    ),
    Reason(
        "containerMode.kubernetesModeWorkVolumeClaim",
        _POD,
        "disk_size in [profiles.NAME.libvirt] is how large a machine's disk is",
    ),
    Reason(
        "containerMode",
        "a runner has a whole machine for itself",
        "for jobs that use containers (dind, kubernetes) install Docker in the boot script, in its "
        "part `builder`; nothing else is needed",
    ),
    Reason("listenerTemplate", _NO_LISTENER),
    Reason("listenerConfig", _NO_LISTENER),
    Reason(
        "listenerMetrics",
        _NO_LISTENER,
        "/metrics of the Monitor has all figures: docs/reference/endpoints.md",
    ),
    Reason("controllerServiceAccount", _KUBERNETES),
    Reason("namespaceOverride", _KUBERNETES),
    Reason("fullnameOverride", _KUBERNETES),
    Reason("nameOverride", _KUBERNETES),
    Reason("annotations", _KUBERNETES),
    Reason("labels", f"{_KUBERNETES}; runners' labels are others"),
    Reason("resourceMeta", _KUBERNETES),
    Reason("template.metadata", _KUBERNETES),
    Reason(
        f"{_RUNNER}.image",
        "runners are machines, not containers",
        f"--source-image is a cloud image; what the container's has beside the runner: {_IMAGE}",
    ),
    Reason(f"{_RUNNER}.imagePullPolicy", _POD),
    Reason(
        f"{_RUNNER}.command",
        "the boot script starts the runner",
        "only if yours does more: write it there",
    ),
    Reason(
        f"{_RUNNER}.args",
        "the boot script starts the runner",
        "only if yours does more: write it there",
    ),
    Reason(
        f"{_RUNNER}.env",
        "values of the environment are not copied, since they may be secrets",
        _GUEST_ENV,
    ),
    Reason(
        f"{_RUNNER}.envFrom",
        "values of the environment are not copied, since they may be secrets",
        _GUEST_ENV,
    ),
    Reason(
        f"{_RUNNER}.resources.requests",
        "a machine has what it has: the limits count, or requests where there are none",
        "--runner-memory, --runner-vcpus and --disk-size",
    ),
    Reason(
        f"{_RUNNER}.resources.limits",
        "of limits memory, cpu and ephemeral-storage can be taken over",
        "for devices write a guest_xml: docs/how-to/run-on-hypervisors.md",
    ),
    Reason(f"{_RUNNER}.volumeMounts", _POD, _IMAGE),
    Reason(
        f"{_RUNNER}.securityContext",
        "the border is the machine: jobs have root in it and nowhere else",
    ),
    Reason(f"{_RUNNER}.lifecycle", _POD, "write what it does into the boot script"),
    Reason(_RUNNER, _POD, f"what this container brings: {_IMAGE}"),
    Reason("template.spec.initContainers.*", _POD, _IMAGE),
    Reason(
        "template.spec.volumes.*",
        _POD,
        "disk_size is how large a machine's disk is; data for all: static in [plugins.monitor]",
    ),
    Reason(
        "template.spec.nodeSelector",
        _HYPERVISOR,
        "to keep a profile to some of them, run a scaler for those",
    ),
    Reason("template.spec.tolerations", _HYPERVISOR),
    Reason("template.spec.affinity", _HYPERVISOR),
    Reason(
        "template.spec.topologySpreadConstraints", _HYPERVISOR, "machines go where most is free"
    ),
    Reason(
        "template.spec.activeDeadlineSeconds", _VALUE, "write max_lifetime of the profile by hand"
    ),
    Reason("template.spec.imagePullSecrets", _POD),
    Reason(
        "template.spec.serviceAccountName",
        "a machine has no rights in a cluster",
        "give jobs that need some a credential of their own, such as by OIDC",
    ),
    Reason("template.spec.automountServiceAccountToken", "a machine has no rights in a cluster"),
    Reason("template.spec.restartPolicy", _POD),
    Reason("template.spec.terminationGracePeriodSeconds", "a busy runner is never ended here"),
    Reason(
        "template.spec.hostNetwork",
        "guests are on libvirt's network",
        "network in [profiles.NAME.libvirt]",
    ),
    Reason(
        "template.spec.dnsPolicy",
        "guests are on libvirt's network",
        "its DNS is in virsh net-dumpxml default",
    ),
    Reason(
        "template.spec.dnsConfig",
        "guests are on libvirt's network",
        "its DNS is in virsh net-dumpxml default",
    ),
    Reason(
        "template.spec.hostAliases",
        "guests are on libvirt's network",
        "write them into the boot script",
    ),
    Reason(
        "template.spec.securityContext",
        "the border is the machine: jobs have root in it and nowhere else",
    ),
    Reason("template.spec", _POD),
    Reason("template", _POD),
)
