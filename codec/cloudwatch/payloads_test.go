package cloudwatch_test

// Records as CloudWatch writes them, in base64.
const (
	data = "" +
		"H4sIAAAAAAAC/+WRPU4DMRCFr7KaCqRA/LPrXa+UIhKBiipUxBFyErOY7NqR7YBQlJNQcAB6LsCFOAKTIKQUUFHyCkt+T575ZryBzsSoG3P1tDJQw9nwanhz" +
		"ORqPhxcj6IF/dCagTVEMxVFot765CH69wqQf73RYtHpp+gvT+a9wnILRHaZJx2X/0YelCX1yy+cYx/UszoNdJevduW2TCRHqCSR/srTORBthuq8xejAu7aIN" +
		"2AWW4lQWnBIhiJBCyIrzsqqIJKwgpaxIzhAx56ySghY5y5msGKOFqLBlsjhk0h3y0lKUjBWCEMp473t4LN+aB9MOrLv1WRebgQJ8EJJZKMj2Ew44bHt/Q5E/" +
		"ohQSVR2irLSz8zqbed8pp1LjcdUJd5OV2SSsnbOumda7pNPWne6Oo+O/wpXktz3lhTiE2yhYRxMU1Aqu/furgp4C/Ph7u7c+Xp7f9pbDqySkpFKyIi9zIiVH" +
		"O+kmYjKZbv8hMf2FmBJCDolhO91+Ag6wg8aZAwAA"
	control = "" +
		"H4sIAAAAAAAC/zWOQQuCQBCF/8qy54gKMvAWYh6yghQ6hMSmkw7pruysRYT/vV21uX28x5vvyxsgEiWknxa4z4PTMT2f4tshTJJtFPIZV28J2iW16oq3MHkV" +
		"q5JsUKsy0qprbTZSYjSIZkTq7pRrbA0qucPagCbuX7OhF75AGodfjsVYN2g1jGjs2HLjbVartbdwN/vrOYFLzCY9Nun5LKggf6IsWQWiNhVTD1bYJZTCfWZ7" +
		"lEBIjAa1Oe+z/geh0OQM8gAAAA=="
	extracted = "" +
		"H4sIAAAAAAAC/1VQXWvCMBT9KyHPOpO0TRvfiqsy5qagG4wxJLZ3LrS2kkSdiP99t36Au3m5OSc55557pGtwTq9gftgA7dPHdJ4uXrLZLB1ltEObfQ0WYY4l" +
		"sAIshKtmNbLNdoNMz/1oW1S6hF4B6+ZCzrwFvUbWa1f29o0twfbYd5Aj7bZLl1uz8aaph6byYB3tf1LfdEtTgzOOfp01sh3UvqWO1BQoFXAVBZxJyaSSUiVB" +
		"ECcJU0xELFYJCwWOGAYiUZJHoQiFSoTgURyjpTcY0us1zstjGQsRSSYYY51beJQX5D4jgdp0mSacPbSH3xpBwjAgEcfPRCJIkpCRq2Z01ypF0sEgm87J5BkH" +
		"gF9vde6hGBqoCgx1pDvMjRtondul2FwXxXnTV0cEC5z5H9i+XB48oABFY7yh6EXk4kZPJ1zepqlMfhjDDqoLM3l7nS/G2Xs2Xkwn46fBBz39AbnDART4AQAA"
	truncated = "" +
		"H4sIAAAAAAAC/+WRPU4DMRCFr7KaCqRA/LPrXa+UIhKBiipUxBFyErOY7NqR7YBQlJNQcAB6LsCFOAKTIKQUUFHyCkt+T575ZryBzsSoG3P1tDJQw9nwanhz" +
		"ORqPhxcj6IF/dCagTVEMxVFot765CH69wqQf73RYtHpp+gvT+a9wnILRHaZJx2X/0YelCX1yy+cYx/UszoNdJevduW2TCRHqCSR/srTORBthuq8xejAu7aIN" +
		"2AWW4lQWnBIhiJBCyIrzsqqIJKwgpaxIzhAx56ySghY5y5msGKOFqLBlsjhk0h3y0lKUjBWCEMp473t4LN+aB9MOrLv1WRebgQJ8EJJZKMj2Ew44bHt/Q5E/" +
		"ohQSVR2irLSz8zqbed8pp1LjcdUJd5OV2SSsnbOumda7pNPWne6Oo+O/wpXktz3lhTiE2yhYRxMU1Aqu/furgp4C/Ph7u7c+Xp7f9pbDqySkpFKyIi9zIiVH" +
		"O+kmYjKZbv8hMf2FmBJCDolhO91+"
	twoMembers = "" +
		"H4sIAAAAAAAC/zWPS2/CMBCE/wraM1X8SBwbKYdITTn1FG4FVS5ZgpWHI9uAKsR/75aqc5xPOztzhwljtD3uvheEDbzWu/rzvWnbetvAGvxtxkA2JwmSJJE9" +
		"+n4b/GUhksWzDd1oB8w6nPwfbFNAOxFNNg7ZzYcBQ8ZO8kg4Xr7iMbglOT+/uTFhiLD5gORfBjdjdBEOz4zminP6RXdwHUVJbgrJmVJMGaWMlrLUmhkmClYa" +
		"zXJBFXMptFG8yEUujBaCF0rTy+RoZLIT9eWlKoUoFGNcyPX/eIof8Ypj5eaTX02xr/ZAByFht4fVc2El4XF4/ABj5pPlLwEAAB+LCAAAAAAAAv81jzFvgzAU" +
		"hP8K8tRKaTE2NjYbUmmmTmRLosoBl1pgG9mmURXlv/fRqje84T7p3t0NWR2jGvXhe9GoRi/NoXl/a7uu2bdoh/zV6QB2ASIgCgJ79uM++HUBksdPFYZZTTof" +
		"tPV/sEtBKws0qTjlVx8mHXL8QXvAcb3EPpglGe9ezZx0iKg+ouSfJuN0NBGdfzPaL+3Shm7IDBBFC8logTnHXHIuBaWVEFhiwnAlBS4JVCwpEZIXrCQlkYKQ" +
		"gnEJL5OBkUlZ6FtUvCKEMQkSu//xEL8oZ/o6u3hvT+6URg/7EhTKquwYVueMG8/1Rqwy7nk7D4/ofr7/AFlDb65BAQAA"
)

// notGzipped is a record as Firehose hands it on.
const notGzipped = `{"messageType":"DATA_MESSAGE","owner":"111122223333","logGroup":"/shardlake/demo","logStream":"task/worker/0f3c","subscriptionFilters":["to-kinesis"],"logEvents":[{"id":"31953106606966983378809025079804211143289615424298221568","timestamp":1767225600123,"message":"level=info msg=\"started\" shard=3"}]}`
