// The launch of a daemon alone, without the rest of the package.
export { launchDaemon, type DaemonOptions } from './plugins/launch-daemon.js'
