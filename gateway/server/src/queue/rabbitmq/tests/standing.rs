//! What has to stand at the broker, and what a person is told when it does not.

use lapin::options::QueueDeleteOptions;
use lapin::types::AMQPValue;

use super::*;

fn parts(url: &str, options: &Options) -> RabbitParts {
    RabbitParts {
        address: Address::parse(url).unwrap(),
        connectors: vendors(),
        accounts: known(),
        clock: Arc::new(SystemClock),
        options: options.clone(),
    }
}

async fn refused(url: &str, options: &Options) -> Trouble {
    match RabbitMq::open(parts(url, options)).await {
        Ok(_) => panic!("it opens"),
        Err(trouble) => trouble,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_with_other_settings_is_told_with_what_to_do() {
    let url = shared_url();
    for (argument, value) in [
        ("x-max-length", AMQPValue::LongInt(17)),
        ("x-overflow", AMQPValue::LongString("drop-head".into())),
        ("x-dead-letter-exchange", AMQPValue::LongString("elsewhere".into())),
        ("x-queue-type", AMQPValue::LongString("classic".into())),
    ] {
        let rig = rig(&url, options());
        rig.declares().await;
        let (line, name) = (rig.line().await, rig.named(0));
        let channel = line.channel().await.unwrap();
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        let mut arguments = FieldTable::default();
        for (key, value) in [
            ("x-queue-type", AMQPValue::LongString("quorum".into())),
            ("x-max-length", AMQPValue::LongInt(10_000)),
            ("x-overflow", AMQPValue::LongString("reject-publish".into())),
            ("x-delivery-limit", AMQPValue::LongInt(20)),
            ("x-dead-letter-exchange", AMQPValue::LongString(rig.topology().dead().as_str().into())),
            ("x-dead-letter-strategy", AMQPValue::LongString("at-least-once".into())),
        ] {
            arguments.insert(key.into(), value);
        }
        if argument == "x-queue-type" {
            // As somebody would make it who never heard of the others.
            arguments = FieldTable::default();
        }
        arguments.insert(argument.into(), value);
        channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments).await.unwrap();

        let trouble = refused(&url, &rig.options).await;
        let text = trouble.to_string();
        // Of several that differ the broker names the first it sees.
        let argument = if argument == "x-queue-type" { "inequivalent arg" } else { argument };
        assert!(trouble.is_definite(), "{text}");
        for said in [name.as_str(), argument, "rabbitmqctl delete_queue", "causeway migrate", "causeway doctor"] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert_eq!(declare(&rig.address, &vendors(), &rig.options).await, Err(trouble));
        let notices = examine(&rig.address, &vendors(), &rig.options).await;
        let bad: Vec<&Notice> = notices.iter().filter(|notice| notice.standing == Standing::Bad).collect();
        assert!(bad.len() == 1 && bad[0].what.contains(&name) && bad[0].text.contains(argument), "{bad:?}");
        // One that runs says so, and rings go on at the others.
        rig.rings();
        rig.ring(&[account(1)]);
        assert!(!rig.figures().queue_connected);
        rig.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_makes_nothing_and_migrating_makes_all() {
    let rig = rig(&shared_url(), options());
    let bad = |notices: &[Notice]| notices.iter().filter(|notice| notice.standing == Standing::Bad).count();
    for _ in 0..2 {
        let notices = examine(&rig.address, &vendors(), &rig.options).await;
        assert_eq!(bad(&notices), 6, "{notices:?}");
        assert!(notices.iter().any(|notice| notice.text.contains("causeway migrate")));
        RabbitMq::open(parts(&shared_url(), &rig.options)).await.expect("what is missing is no reason not to start");
    }
    for _ in 0..2 {
        assert_eq!(declare(&rig.address, &vendors(), &rig.options).await, Ok(2));
    }
    assert_eq!(bad(&examine(&rig.address, &vendors(), &rig.options).await), 0);
    let line = rig.line().await;
    put(&line.channel().await.unwrap(), &rig.topology().parked(), b"x").await;
    rig.until_depth(&rig.topology().parked(), 1).await;
    let notices = examine(&rig.address, &vendors(), &rig.options).await;
    let told = notices.iter().find(|notice| notice.what.ends_with(&rig.topology().parked())).unwrap();
    assert!(told.standing == Standing::Warning && told.text.starts_with("1 messages"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_address_is_told_with_what_to_do() {
    let (url, options) = (shared_url(), options());
    let password = url.split(':').nth(2).and_then(|rest| rest.split('@').next()).unwrap().to_owned();
    let trouble = refused(&url.replace(&password, "hunter2"), &options).await;
    assert!(matches!(trouble, Trouble::Login { .. }) && !trouble.to_string().contains("hunter2"), "{trouble}");
    let nowhere = format!("{}nowhere", url.trim_end_matches(|c: char| c != '/'));
    let trouble = refused(&nowhere, &options).await;
    assert!(matches!(&trouble, Trouble::Vhost { vhost, .. } if vhost == "nowhere"), "{trouble}");
    // Nobody there is no mistake of anybody's: it is waited for.
    let free = blocking(causeway_servers::free_port);
    let away = format!("amqp://gate:hunter2@127.0.0.1:{free}/");
    RabbitMq::open(parts(&away, &options)).await.expect("it starts");
    let notices = examine(&Address::parse(&away).unwrap(), &vendors(), &options).await;
    assert!(notices.len() == 1 && notices[0].text.contains("cannot be reached"), "{notices:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_declare_can_work_with_what_is_there() {
    let (url, rig) = (shared_url(), rig(&shared_url(), options()));
    rig.declares().await;
    let vhost = url.rsplit('/').next().unwrap();
    let name = format!("{}-user", rig.options.prefix);
    blocking(|| Broker::shared()?.ctl(&["add_user", &name, "hunter2"]));
    blocking(|| Broker::shared()?.ctl(&["set_permissions", "-p", vhost, &name, "^$", ".*", ".*"]));
    let place = url.split('@').nth(1).unwrap();
    let lesser = super::rig(&format!("amqp://{name}:hunter2@{place}"), rig.options.clone());
    lesser.rings().listens();
    lesser.ring(&[account(1)]);
    hear_all(&*lesser.queue, &[account(1)]).await;
    lesser.ends().await;
    // Where something is missing it says what it may not.
    let elsewhere = Options { prefix: format!("{}x", rig.options.prefix), ..rig.options.clone() };
    let trouble = declare(&lesser.address, &vendors(), &elsewhere).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Forbidden { .. }), "{trouble}");
}
