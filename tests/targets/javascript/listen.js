// Connects with the real socket.io client and prints what happens, one JSON object a line:
//   { source: "server", event, data }   an event that the server emitted
//   { source: "client", event, data }   what the client says of itself: open, upgrade, connect,
//                                       ack, connect_error, disconnect
// It ends when the server has emitted each event named by --until, when it is refused or
// disconnected, or, with exit code 1, after --within-ms.
import { parseArgs } from 'node:util';
import { io } from 'socket.io-client';

const { values: asked } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    'token-in-header': { type: 'boolean', default: false },
    transports: { type: 'string', default: 'polling,websocket' },
    subscribe: { type: 'string' },
    until: { type: 'string', multiple: true, default: [] },
    'within-ms': { type: 'string', default: '30000' },
  },
});

const say = (source, event, data) => console.log(JSON.stringify({ source, event, data }));

const identity = asked['token-in-header']
  ? { extraHeaders: { Authorization: `Bearer ${asked.token}` } }
  : { auth: asked.token === undefined ? {} : { token: asked.token } };

const socket = io(asked.url, {
  ...identity,
  path: '/socket.io/',
  transports: asked.transports.split(','),
  reconnection: false,
});
// The engine carries the socket: it is open before the server has accepted anybody.
const { engine } = socket.io;

const awaited = new Set(asked.until);
const patience = setTimeout(() => {
  console.error(`listen.js: not heard within ${asked['within-ms']} ms: ${[...awaited].join(', ')}`);
  process.exit(1);
}, Number(asked['within-ms']));

const end = () => {
  clearTimeout(patience);
  socket.disconnect();
};

for (const event of ['open', 'upgrade']) {
  engine.on(event, () => say('client', event, { transport: engine.transport.name }));
}

socket.on('connect', async () => {
  say('client', 'connect', {});
  if (asked.subscribe !== undefined) {
    say('client', 'ack', await socket.emitWithAck('subscribe', { room: asked.subscribe }));
  }
});

socket.on('connect_error', (error) => {
  say('client', 'connect_error', { message: error.message });
  end();
});

socket.on('disconnect', (reason) => {
  say('client', 'disconnect', { reason });
  end();
});

socket.onAny((event, ...data) => {
  say('server', event, data.length === 1 ? data[0] : data);
  if (awaited.delete(event) && awaited.size === 0) {
    end();
  }
});
