"""Makes a bucket: bucket.py ENDPOINT NAME."""

import os
import sys

import pyarrow.fs

pyarrow.fs.S3FileSystem(
    access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    endpoint_override=sys.argv[1].removeprefix("http://"), scheme="http", region="us-east-1", allow_bucket_creation=True,
).create_dir(sys.argv[2])
