package dir

import "syscall"

// networkFileSystem reports the name of a network file system at path, from the
// magic numbers of statfs(2) and linux/magic.h. FUSE is among them because it
// hides what is behind it: sshfs, s3fs and the like.
func networkFileSystem(path string) (name string, network bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(path, &st) != nil {
		return "", false // the calls that follow report why
	}
	name, network = networkMagic[uint32(st.Type)]
	return name, network
}

var networkMagic = map[uint32]string{
	0x6969:     "NFS",
	0x517b:     "SMB",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
	0x65735546: "FUSE",
	0x5346414f: "AFS",
	0x6b414653: "AFS",
	0x73757245: "Coda",
	0x564c:     "NCP",
	0x01021997: "9P",
	0x00c36400: "Ceph",
	0x7461636f: "OCFS2",
	0x01161970: "GFS2",
	0x0bd00bd0: "Lustre",
	0x47504653: "GPFS",
	0x20030528: "OrangeFS",
}
