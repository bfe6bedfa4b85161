"""What a lock installs without an error, and what does not work when it is imported."""

from datetime import UTC, datetime

NUMPY_TWO = datetime(2024, 4, 1, tzinfo=UTC)
"""Before it nothing was compiled for NumPy 2, whose first release candidate is of that month; what is compiled for
NumPy 1 cannot be imported beside it: https://numpy.org/doc/stable/numpy_2_0_migration_guide.html"""

OF_NUMPY = frozenset(
    {
        "astropy", "blis", "bottleneck", "cftime", "fastparquet", "gensim", "h5py", "hdbscan", "implicit", "matplotlib",
        "netcdf4", "numexpr", "opencv-contrib-python", "opencv-contrib-python-headless", "opencv-python",
        "opencv-python-headless", "pandas", "pyarrow", "pycocotools", "pyerfa", "pywavelets", "rasterio",
        "scikit-image", "scikit-learn", "scipy", "shapely", "spacy", "statsmodels", "tables", "thinc",
    }
)  # fmt: skip
"""Packages that are compiled for a version of NumPy."""


def problems(packages: list[dict]) -> list[tuple[str, str]]:
    """[code, message] of what of a lock's packages will not work."""
    by_name = {package["name"]: package for package in packages}
    numpy = str(by_name.get("numpy", {}).get("version", ""))
    told = []
    if numpy.partition(".")[0].isdigit() and int(numpy.partition(".")[0]) >= 2:
        older = [f"{name} {package['version']}" for name, package in by_name.items() if _is_of_numpy_one(package)]
        if older:
            told.append(
                (
                    "numpy-too-new",
                    f"{', '.join(older)}: compiled for NumPy 1, and cannot be imported beside numpy {numpy}; "
                    "ask for numpy<2 as well, or for newer ones",
                )
            )
    if "sklearn" in by_name and "scikit-learn" not in by_name:
        words = "sklearn holds nothing: what is imported under that name is the package scikit-learn; ask for that"
        told.append(("package-mistaken", words))
    return told


def _is_of_numpy_one(package: dict) -> bool:
    compiled = [wheel for wheel in package.get("wheels", ()) if not wheel.get("url", "").endswith("-none-any.whl")]
    times = [wheel.get("upload-time") for wheel in compiled]
    return package["name"] in OF_NUMPY and bool(times) and all(time and time < NUMPY_TWO for time in times)
