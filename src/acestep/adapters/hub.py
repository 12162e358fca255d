"""The way to the Hugging Face Hub: its errors become ours here."""

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalTokenNotFoundError,
)

from acestep.errors import AdapterError


def upload(files: Mapping[str, Path], repo: str, *, private: bool, message: str) -> str:
    """Put files, by their names there, into a model repository in one commit; return its address.

    The repository is made if it is not there; its other files stay. Who uploads is said by
    ``hf auth login`` or ``$HF_TOKEN``, where to by ``$HF_ENDPOINT``. Raises ``AdapterError`` with
    the server's own words if it refuses or cannot be reached.
    """
    api = HfApi()
    operations = [CommitOperationAdd(name, file) for name, file in files.items()]
    try:
        place = api.create_repo(repo, private=private, exist_ok=True)
        api.create_commit(repo, operations, commit_message=message)
    except (HfHubHTTPError, HTTPError, LocalTokenNotFoundError, OSError) as error:
        raise AdapterError(
            f"cannot upload to {repo} at {api.endpoint}: {_first_line(error)}",
            hint="log in with `hf auth login` or set HF_TOKEN to a token that may write there; "
            "what was exported is unchanged, so share again when it is mended",
        ) from error
    except HFValidationError as error:
        raise AdapterError(f"{repo}: {_first_line(error)}", hint="name it USER/NAME") from error
    return str(place)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
