import torch

from djd.models.classifier import GradeClassifier

NETWORK = {"_target_": "djd.models.pooled.PooledCNN", "depth": 1, "width": 2, "dropout": 0.0}
ORDINAL = {"_target_": "djd.models.ordered.Ordinal"}


def test_views_are_samples_in_the_loss_and_probabilities_of_a_knee_are_their_mean() -> None:
    torch.manual_seed(0)
    classifier = GradeClassifier(
        {**NETWORK, "uptake": True, "both_knees": True}, ORDINAL, {},
        learning_rate=1, schedule="constant", epochs=1, views=1, each_view=True, pixels=32,
        class_weights=[1.0, 2.0, 3.0, 4.0, 5.0],
    ).eval()  # fmt: skip
    crops, uptake, other = torch.rand(3, 2, 32, 32), torch.rand(3, 4), torch.rand(3, 2, 32, 32)
    there, grades = torch.tensor([True, False, True]), torch.tensor([0, 3, 4])
    batch = {"crop": crops, "grade": grades, "knee": torch.arange(3), "uptake": uptake,
             "other_knee": other, "has_other_knee": there}  # fmt: skip
    network, loss = classifier.network, classifier.loss
    views = [
        network(crops[:, [view]], uptake[:, 2 * view : 2 * view + 2], other[:, [view]], there)
        for view in (0, 1)
    ]
    received = classifier._step(batch, "train")  # type: ignore[arg-type]
    expected = loss(torch.cat(views), torch.cat([grades, grades]))
    torch.testing.assert_close(received, expected)
    classifier.finish_train_pass()
    outcome = classifier.outcomes["train"]
    mean = torch.stack([loss.probabilities(outputs.double()) for outputs in views]).mean(dim=0)
    torch.testing.assert_close(torch.from_numpy(outcome.probabilities), mean.detach())
    assert outcome.loss == float(received.detach())
    assert outcome.grades.tolist() == grades.tolist()
