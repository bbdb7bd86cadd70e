import { fileURLToPath } from 'node:url'
import { AutoreloadRefused } from './monitor-errors.js'

/**
 * The files that the main thread has loaded as modules, ES modules and those of loaders like tsx included, as absolute
 * paths. Node lists only those of CommonJS; of the others V8 knows, which tells whoever enables its debugger what
 * scripts there are. It is enabled for that moment only, 20 to 100 ms the first time, and pauses nothing.
 *
 * Not among them: data that an ES module imports (`with { type: 'json' }`), what other threads have loaded.
 *
 * @throws `FST_KEEP_ENGINE_AUTORELOAD_REFUSED` where Node has no inspector, or its permission model denies it
 * @see https://chromedevtools.github.io/devtools-protocol/v8/Debugger/#event-scriptParsed
 */
export function loadedFiles (): Set<string> {
  const { createRequire } = process.getBuiltinModule('node:module')
  const files = new Set(Object.keys(createRequire(import.meta.url).cache))
  for (const url of scriptUrls()) {
    const file = pathOf(url)
    if (file !== undefined) files.add(file)
  }
  return files
}

function scriptUrls (): string[] {
  const inspector = process.getBuiltinModule('node:inspector')
  if (inspector === undefined) throw new AutoreloadRefused('this Node has been built without its inspector, which tells what files are loaded')
  const urls: string[] = []
  const session = new inspector.Session()
  session.on('Debugger.scriptParsed', ({ params }) => { urls.push(params.url) })
  try {
    session.connect()
  } catch (cause) {
    throw new AutoreloadRefused("Node's permission model denies its inspector, which tells what files are loaded", { cause })
  }
  try {
    session.post('Debugger.enable')
    session.post('Debugger.disable')
  } finally {
    session.disconnect()
  }
  return urls
}

/** A script may call itself anything by a `sourceURL` comment. */
function pathOf (url: string): string | undefined {
  if (!url.startsWith('file:')) return undefined
  try {
    return fileURLToPath(url)
  } catch {
    return undefined
  }
}
