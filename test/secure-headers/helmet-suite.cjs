// Preloaded into a process that runs the test files of @fastify/helmet: the plugin that they require is the drop-in.
'use strict'
const Module = require('node:module')
const { dirname } = require('node:path')

const suite = dirname(require.resolve('@fastify/helmet/package.json'))
const resolve = Module._resolveFilename
Module._resolveFilename = function (request, parent, ...rest) {
  const isSubject = request === '..' && parent?.filename.startsWith(suite)
  return isSubject ? require.resolve('@fastkeep/secure-headers/helmet') : resolve.call(this, request, parent, ...rest)
}
