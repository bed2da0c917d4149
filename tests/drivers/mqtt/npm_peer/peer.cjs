// npm's mqtt as a device of another maker. `node peer.cjs OPTIONS` connects and obeys one JSON object a line of its standard input:
// {"publish": [topic, payload, options]}, {"subscribe": topic}, {"answer": {topic: [topic, payload]}}, {"end": true}; it says what it did, one a line.
// OPTIONS are those of mqtt.connect; `modules` names the folder with node_modules.
const { createRequire } = require("node:module");
const readline = require("node:readline");
const options = JSON.parse(process.argv[2]);
const mqtt = createRequire(options.modules + "/")("mqtt");
const say = (thing) => process.stdout.write(JSON.stringify(thing) + "\n");
const fail = (error) => {
  say({ error: String(error) });
  process.exit(1);
};
const client = mqtt.connect({ reconnectPeriod: 0, ...options });
const answers = {};
client.on("error", fail);
client.on("message", (topic, payload, packet) => {
  say({ message: [topic, payload.toString(), packet.retain] });
  if (answers[topic]) client.publish(...answers[topic], { qos: 1 });
});
client.on("connect", () => {
  say({ connected: true });
  readline.createInterface({ input: process.stdin }).on("line", (line) => {
    const asked = JSON.parse(line);
    const done = (error) => (error ? fail(error) : say({ done: true }));
    if (asked.publish) client.publish(...asked.publish, done);
    else if (asked.subscribe) client.subscribe(asked.subscribe, { qos: 1 }, done);
    else if (asked.answer) done(void Object.assign(answers, asked.answer));
    else client.end(false, {}, done);
  });
});
