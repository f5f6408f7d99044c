//! What comes in and goes out, over one connection after the other.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use cuebox_core::command::{Answer, Envelope, Origin};
use cuebox_core::director::Event;
use cuebox_core::ids::CommandId;
use cuebox_core::mqtt::config::MqttConfig;
use cuebox_core::mqtt::inbound::{self, Message, Received, Reply};
use cuebox_core::mqtt::outbound::{Mirror, Out};
use cuebox_core::mqtt::{Topics, discovery};
use cuebox_core::status::{MqttState, MqttStatus};
use cuebox_core::time::Trust;
use rumqttc::{AsyncClient, ClientError, Publish, PublishOptions, PublishProperties, QoS, SubscribeFilterInput};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Deps;
use super::link::{self, News};
use super::options::{self, UNDER_WAY};

/// Requests that wait for the connection, subscriptions and acknowledgements among them.
const REQUESTS: usize = 32;
/// Commands that the director has at a time.
const AT_A_TIME: usize = 64;
/// Messages that wait to be read, and their payloads' bytes: more than a broker keeps for a client by default.
const MAX_UNREAD: usize = 2_048;
const MAX_UNREAD_BYTES: usize = 4 << 20;
/// How long what could not be handed to the connection waits when nothing else happens.
const AGAIN: Duration = Duration::from_millis(50);

struct Session {
    deps: Deps,
    config: MqttConfig,
    mirror: Mirror,
    client: Option<AsyncClient>,
    link: Option<JoinHandle<()>>,
    connected: bool,
    /// This connection is not subscribed to commands yet.
    deaf: bool,
    /// Counts connections: an acknowledgement belongs to the one that its message came over.
    epoch: u64,
    /// What came and was not read yet, oldest first; `unread_bytes` of payload.
    unread: VecDeque<Publish>,
    unread_bytes: usize,
    /// Oldest first for each id: the director answers them in that order.
    waiting: HashMap<CommandId, VecDeque<Waiting>>,
    count: usize,
    acks: VecDeque<(u64, Publish)>,
    told: MqttStatus,
}

struct Waiting {
    reply: Reply,
    message: Publish,
    epoch: u64,
}

pub async fn run(
    config: MqttConfig,
    deps: Deps,
    mut answered: mpsc::UnboundedReceiver<(CommandId, Answer)>,
    mut stopping: oneshot::Receiver<()>,
) {
    let newest = deps.snapshots.borrow().clone();
    let mirror = Mirror::new(&deps.box_id, deps.life.clone(), config.discovery_prefix.clone(), newest);
    let mut session = Session {
        deps,
        config,
        mirror,
        client: None,
        link: None,
        connected: false,
        deaf: false,
        epoch: 0,
        unread: VecDeque::new(),
        unread_bytes: 0,
        waiting: HashMap::new(),
        count: 0,
        acks: VecDeque::new(),
        told: MqttStatus::default(),
    };
    session.tell(MqttState::Trying, None);
    let mut news = session.connect();
    let mut snapshots = session.deps.snapshots.clone();
    let mut again = None;
    loop {
        let wait = session.wait(again);
        tokio::select! {
            told = next(&mut news) => {
                again = None;
                session.take(told, &mut news, &mut again);
            }
            Some((id, answer)) = answered.recv() => session.answer(&id, &answer),
            changed = snapshots.changed() => {
                if changed.is_err() {
                    break;
                }
                let snapshot = snapshots.borrow_and_update().clone();
                session.mirror.take((session.deps.clock)(), snapshot);
            }
            () = tokio::time::sleep(wait) => {
                session.mirror.tick((session.deps.clock)());
                if again.is_some_and(|at: tokio::time::Instant| at <= tokio::time::Instant::now()) {
                    again = None;
                    news = session.connect();
                }
            }
            _ = &mut stopping => break,
        }
        session.read();
        session.pump();
    }
    session.leave(news).await;
}

/// Never, while there is no connection to hear of.
async fn next(news: &mut Option<mpsc::Receiver<News>>) -> Option<News> {
    match news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}

impl Session {
    /// `None`: it cannot even be tried.
    fn connect(&mut self) -> Option<mpsc::Receiver<News>> {
        let options = match options::options(&self.config, self.mirror.topics(), &self.deps.box_id) {
            Ok(options) => options,
            Err(error) => {
                self.tell(MqttState::Refused, Some(error.to_string()));
                return None;
            }
        };
        let (client, connection) = match AsyncClient::builder(options).capacity(REQUESTS).try_build() {
            Ok(made) => made,
            Err(error) => {
                self.tell(MqttState::Refused, Some(error.to_string()));
                return None;
            }
        };
        let (sender, news) = mpsc::channel(usize::from(UNDER_WAY));
        self.link = Some(tokio::spawn(link::run(connection, sender)));
        self.client = Some(client);
        Some(news)
    }

    fn take(
        &mut self,
        told: Option<News>,
        news: &mut Option<mpsc::Receiver<News>>,
        again: &mut Option<tokio::time::Instant>,
    ) {
        match told {
            Some(News::Connected) => self.connected(),
            Some(News::Message(message)) => self.came(message),
            Some(News::Moved) => {}
            Some(News::Lost(status)) => self.lost(status),
            Some(News::Spoilt(status)) => {
                self.lost(MqttStatus { state: MqttState::Refused, ..status });
                (*news, self.client) = (None, None);
                *again = Some(tokio::time::Instant::now() + link::SLOW);
            }
            Some(News::Left) | None => {
                (*news, self.client) = (None, None);
                self.lost(MqttStatus { state: MqttState::Trying, why: Some("the connection broke".to_owned()) });
                *again = Some(tokio::time::Instant::now() + link::SLOW);
            }
        }
    }

    fn connected(&mut self) {
        self.connected = true;
        self.epoch += 1;
        self.acks.clear();
        tracing::info!("connected to the MQTT broker");
        self.mirror.connected((self.deps.clock)());
        self.deaf = true;
        self.tell(MqttState::Connected, None);
    }

    /// Commands, and when Home Assistant starts.
    fn filters(&self) -> Vec<SubscribeFilterInput> {
        let topics: &Topics = self.mirror.topics();
        let mut filters = vec![SubscribeFilterInput::new(topics.commands(), QoS::AtLeastOnce).preserve_retain(true)];
        if let Some(prefix) = &self.config.discovery_prefix {
            filters.push(SubscribeFilterInput::new(discovery::status_topic(prefix), QoS::AtMostOnce));
        }
        filters
    }

    fn lost(&mut self, status: MqttStatus) {
        // The broker sends it again.
        self.unread.clear();
        self.unread_bytes = 0;
        if std::mem::take(&mut self.connected) {
            self.mirror.lost();
            tracing::warn!("the MQTT broker is lost: {}", status.why.as_deref().unwrap_or("no reason"));
        }
        self.tell(status.state, status.why);
    }

    /// The director learns what changed, and nothing twice.
    fn tell(&mut self, state: MqttState, why: Option<String>) {
        let status = MqttStatus { state, why };
        if self.told != status {
            self.told = status.clone();
            (self.deps.tell)(Event::MqttTold(status));
        }
    }

    fn came(&mut self, message: Publish) {
        if self.unread.len() >= MAX_UNREAD || self.unread_bytes + message.payload.len() > MAX_UNREAD_BYTES {
            tracing::warn!("too many commands at once: one is dropped");
            return self.acknowledge(self.epoch, message);
        }
        self.unread_bytes += message.payload.len();
        self.unread.push_back(message);
    }

    /// Reads what came, as long as the commands before are nearly answered.
    fn read(&mut self) {
        while self.count < AT_A_TIME && self.mirror.answers() < AT_A_TIME {
            let Some(message) = self.unread.pop_front() else { return };
            self.unread_bytes = self.unread_bytes.saturating_sub(message.payload.len());
            self.message(message);
        }
    }

    fn message(&mut self, message: Publish) {
        let Ok(topic) = std::str::from_utf8(&message.topic) else { return self.acknowledge(self.epoch, message) };
        if self.config.discovery_prefix.as_deref().is_some_and(|prefix| discovery::status_topic(prefix) == topic) {
            if &message.payload[..] == b"online" {
                self.mirror.announce((self.deps.clock)());
            }
            return self.acknowledge(self.epoch, message);
        }
        let properties = message.properties.as_ref();
        let read = Message {
            topic,
            payload: &message.payload,
            retained: message.retain,
            response_topic: properties.and_then(|properties| properties.response_topic.as_deref()),
            correlation: properties.and_then(|properties| properties.correlation_data.as_deref()),
        };
        let wall = (self.deps.wall)();
        let now = (wall.trust != Trust::Unset).then_some(wall.unix_ns);
        let fresh = CommandId::new(uuid::Uuid::now_v7().to_string());
        match inbound::read(self.mirror.topics(), &read, fresh, now) {
            Received::Nothing => self.acknowledge(self.epoch, message),
            Received::Refused { body, reply } => {
                self.mirror.answer(reply, &body);
                self.acknowledge(self.epoch, message);
            }
            Received::Command { id, command, late, reply } => {
                let envelope = Envelope { id: id.clone(), origin: Origin::Mqtt, command };
                let event = match late {
                    None => Event::Commanded(envelope),
                    Some(why) => Event::CommandedLate { envelope, why },
                };
                // While the box stops nothing is acknowledged: the broker sends it again.
                if (self.deps.tell)(event) {
                    self.count += 1;
                    let waiting = Waiting { reply, message, epoch: self.epoch };
                    self.waiting.entry(id).or_default().push_back(waiting);
                }
            }
        }
    }

    fn answer(&mut self, id: &CommandId, answer: &Answer) {
        let Some(queue) = self.waiting.get_mut(id) else { return };
        let Some(Waiting { reply, message, epoch }) = queue.pop_front() else { return };
        if queue.is_empty() {
            self.waiting.remove(id);
        }
        self.count = self.count.saturating_sub(1);
        self.mirror.answer(reply, &answer.to_json(id));
        self.acknowledge(epoch, message);
    }

    fn acknowledge(&mut self, epoch: u64, message: Publish) {
        if message.qos != QoS::AtMostOnce {
            self.acks.push_back((epoch, message));
        }
    }

    /// Hands on what waits, as far as there is room.
    fn pump(&mut self) {
        let Some(client) = self.client.clone().filter(|_| self.connected) else { return };
        if self.deaf && client.try_subscribe_many(self.filters()).is_err() {
            return;
        }
        self.deaf = false;
        while let Some((epoch, message)) = self.acks.pop_front() {
            if epoch == self.epoch && matches!(client.try_ack(&message), Err(ClientError::RequestChannelFull(_))) {
                self.acks.push_front((epoch, message));
                break;
            }
        }
        while let Some(out) = self.mirror.poll() {
            match client.try_publish(out.topic.clone(), out.payload.clone(), how(&out)) {
                Ok(()) => {}
                Err(ClientError::RequestChannelFull(_)) => return self.mirror.put_back(out),
                Err(error) => tracing::debug!("a message cannot be published: {error}"),
            }
        }
    }

    fn wait(&self, again: Option<tokio::time::Instant>) -> Duration {
        let mut wait = Duration::from_secs(3600);
        if self.connected {
            let now = (self.deps.clock)();
            let due = self.mirror.deadline().map(|at| at.since(now));
            let stuck = (self.deaf || !self.acks.is_empty() || self.mirror.is_waiting()).then_some(AGAIN);
            wait = due.into_iter().chain(stuck).fold(wait, Duration::min);
        }
        again.map_or(wait, |at| wait.min(at.saturating_duration_since(tokio::time::Instant::now())))
    }

    /// Says `offline`, because the broker speaks for us only when we vanish.
    async fn leave(mut self, news: Option<mpsc::Receiver<News>>) {
        let link = self.link.take();
        if let (Some(client), Some(mut news), true) = (self.client.take(), news, self.connected) {
            let offline = PublishOptions::at_least_once().retained();
            let _ = client.try_publish(self.mirror.topics().availability(), "offline", offline);
            let _ = client.try_disconnect();
            while !matches!(news.recv().await, Some(News::Left | News::Lost(_) | News::Spoilt(_)) | None) {}
        }
        if let Some(link) = link {
            link.abort();
        }
    }
}

fn how(out: &Out) -> PublishOptions {
    let options = PublishOptions::at_least_once().retain(out.retained);
    let correlation_data = out.correlation.clone().map(Into::into);
    if correlation_data.is_none() {
        return options;
    }
    options.properties(PublishProperties { correlation_data, ..PublishProperties::default() })
}
