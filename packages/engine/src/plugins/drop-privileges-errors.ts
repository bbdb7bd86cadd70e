import { engineError } from '../errors.js'
import { ExitCode } from '../exit-codes.js'

/** The user database has no such user, or no group for it. */
export const UserUnknown = engineError('PRIVILEGES_USER_UNKNOWN', '%s', ExitCode.CONFIG)

/** The group database has no such group. */
export const GroupUnknown = engineError('PRIVILEGES_GROUP_UNKNOWN',
  'there is no group %s: neither /etc/group nor "getent group" has it; create it or correct the option "group"', ExitCode.CONFIG)

/** The user database did not answer, e.g. for want of a directory server. */
export const UserLookupFailed = engineError('PRIVILEGES_LOOKUP', '"getent %s %s" failed: %s; make the database answer, or name the user and the group by numbers that /etc/passwd and /etc/group have', ExitCode.OS)

/** To become root drops nothing. */
export const TargetIsRoot = engineError('PRIVILEGES_TARGET_ROOT',
  'the option "user" names %s: that is root, which drops nothing; name a user without privileges, or leave the option out', ExitCode.CONFIG)

/** A process that is neither root nor the wanted user cannot become it. */
export const NotRoot = engineError('PRIVILEGES_NOT_ROOT',
  'cannot become %s: this process runs as uid %s, gid %s, and only root can change that; start it as root, or start it as that user and group to begin with (User= and Group= of a systemd unit, "setpriv --reuid --regid --init-groups"; for a port below 1024 then AmbientCapabilities=CAP_NET_BIND_SERVICE or a socket unit)', ExitCode.NO_PERMISSION)

/** This platform, thread or setting of Node cannot drop privileges, or cannot prove it. */
export const DropUnsupported = engineError('PRIVILEGES_UNSUPPORTED', 'cannot drop privileges: %s', ExitCode.NO_PERMISSION)

/** What the service will read later, the user may not. */
export const NotReadable = engineError('PRIVILEGES_NOT_READABLE', '%s will not be able to read %s, e.g. when keys are renewed; give the user or one of its groups access, every directory above included, or run it with workers, whose supervisor stays root and reads for them what its option "secrets" names', ExitCode.NO_PERMISSION)

/** A file is not one whose ownership can be given away safely. */
export const FileRefused = engineError('PRIVILEGES_FILE_REFUSED', 'cannot give %s to %s: %s', ExitCode.NO_PERMISSION)

/** The system refused the drop, or something of root is left after it. */
export const NotDropped = engineError('PRIVILEGES_NOT_DROPPED', 'privileges were not dropped to %s, the service must not start: %s', ExitCode.NO_PERMISSION)
